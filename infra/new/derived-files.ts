import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { ComingApp, Step } from '@repo/generator'
import { processTypeOf, readFormation, type Formation, type ProcessType } from '../formation.ts'
import { render } from '../render/render.ts'

/** The files that are derived from the formation, as they are once this app has come. */
export async function deriveWith(root: string, { folder, processes, likeness }: ComingApp): Promise<Step[]> {
  const { release, running } = readFormation(root)
  const added = Object.entries(processes).map(([name, one]) => processTypeOf(folder, name, one))
  const after = { release, running: [...running, ...added].sort(byName) }
  return stepsTo(root, await asIf(root, after, { [folder]: likeness }, (house) => render(house, after)))
}

/** The same once it has gone. */
export async function deriveWithout(root: string, app: string): Promise<Step[]> {
  const { release, running } = readFormation(root)
  const stays = (type: ProcessType): boolean => type.app !== app
  const left = { release: release.filter(stays), running: running.filter(stays) }
  const [before, after] = [await render(root, { release, running }), await render(root, left)]
  const gone = [...before.keys()].filter((path) => !after.has(path) && existsSync(join(root, path)))
  return [...stepsTo(root, after), ...gone.map((path) => ({ remove: path }))]
}

function stepsTo(root: string, files: ReadonlyMap<string, string>): Step[] {
  return [...files].flatMap(([path, content]) => {
    const before = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined
    return before === content ? [] : [{ write: path, content, before }]
  })
}

/** Shows a house in which each app of the formation stands where it will, though its folder is elsewhere. */
async function asIf<T>(
  root: string,
  { release, running }: Formation,
  elsewhere: Record<string, string>,
  look: (house: string) => Promise<T>,
): Promise<T> {
  mkdirSync(join(root, '.dev/changes'), { recursive: true, mode: 0o700 })
  const house = mkdtempSync(join(root, '.dev/changes/house-'))
  try {
    mkdirSync(join(house, 'apps'))
    for (const app of new Set([...release, ...running].map(({ app }) => app))) {
      symlinkSync(elsewhere[app] ?? join(root, app), join(house, app), 'dir')
    }
    return await look(house)
  } finally {
    rmSync(house, { recursive: true })
  }
}

function byName(a: ProcessType, b: ProcessType): number {
  return a.name < b.name ? -1 : 1
}
