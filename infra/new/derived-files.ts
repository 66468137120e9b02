import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Step } from '@repo/generator'
import { readFormation, type Formation, type ProcessType } from '../formation.ts'
import { render } from '../render/render.ts'

/** What an app declares, before or after it is there. */
export type Declared = Record<
  string,
  Omit<ProcessType, 'name' | 'app' | 'needs'> & { needs?: ProcessType['needs'] }
>

/** The files that are derived from the formation, as they are once this app has come. */
export function deriveWith(root: string, app: string, processes: Declared): Step[] {
  const { release, running } = readFormation(root)
  const added = Object.entries(processes).map(([name, { needs = [], ...rest }]) => ({
    ...rest,
    needs,
    name,
    app,
  }))
  return rendered(root, {
    release,
    running: [...running, ...added].sort((a, b) => (a.name < b.name ? -1 : 1)),
  })
}

/** The same once it has gone. */
export function deriveWithout(root: string, app: string): Step[] {
  const { release, running } = readFormation(root)
  const stays = (type: ProcessType): boolean => type.app !== app
  return rendered(root, { release: release.filter(stays), running: running.filter(stays) })
}

function rendered(root: string, formation: Formation): Step[] {
  return [...render(root, formation)].flatMap(([path, content]) => {
    const before = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined
    return before === content ? [] : [{ write: path, content, before }]
  })
}
