import { globSync } from 'node:fs'
import type { Formation } from '../formation.ts'
import { findOrphans } from './find-orphans.ts'
import { findVersionDrift, read } from './find-version-drift.ts'
import { listPlatforms, render } from './render.ts'

/** Something that is not as it should be, and what mends it. */
export interface Finding {
  what: string
  how: string
  mend: string
  /** What the file holds, '' where there is none. */
  found?: string
  /** What the file should hold; null when it should not be. Undefined where a person decides. */
  wanted?: string | null
}

/** What has drifted from what it is derived from, or from what it should be the same as. */
export async function findDrift(root: string, formation: Formation): Promise<Finding[]> {
  return [
    ...(await findStale(root, formation)),
    ...findOrphans(root, formation),
    ...findVersionDrift(root),
    ...findTemplates(root),
  ]
}

async function findStale(root: string, formation: Formation): Promise<Finding[]> {
  const rendered = await render(root, formation)
  const folders = (await listPlatforms()).flatMap(({ FOLDER }) => FOLDER ?? [])
  const left = folders
    .flatMap((folder) => globSync(`${folder}/**/*.yaml`, { cwd: root }))
    .filter((file) => !rendered.has(file))
  const findings: Finding[] = left.map((file) => {
    return { what: file, how: 'its process type is gone', mend: 'pnpm infra', wanted: null }
  })
  for (const [file, wanted] of rendered) {
    const found = read(root, file)
    const how = found === undefined ? 'is not there' : 'is not what the formation says'
    if (found !== wanted) findings.push({ what: file, how, mend: 'pnpm infra', found: found ?? '', wanted })
  }
  return findings
}

/** Processes start alike: those of templates as those of the apps that they were taken from. */
export function findTemplates(root: string): Finding[] {
  const model = 'apps/accounts/src/server.ts'
  const text = read(root, model)
  // Those that hold something open, as the model does.
  return globSync('infra/generator/templates/*/src/resources.ts', { cwd: root })
    .map((file) => file.replace('resources.ts', 'server.ts'))
    .filter((file) => text !== undefined && read(root, file) !== text)
    .map((file) => ({ what: file, how: `reads otherwise than ${model}`, mend: 'make both say the same' }))
}
