import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Formation } from '../formation.ts'
import { renderEnvExample } from './env-example.ts'
import { renderProcessTypes } from './process-types.ts'
import { readVariables, type VariablesOf } from './variables.ts'

/** Where a deployment may run: the `render.ts` of a folder here, which a team that does without the platform takes away. */
export interface Platform {
  /** What it reads, each file by its path from the root on. */
  render(formation: Formation, variables: VariablesOf): [path: string, text: string][]
  /** A folder in which every file is rendered: what is there besides is of a process type that is gone. */
  FOLDER?: string
  /** Makes what its processes keep to themselves, where no platform keeps it. */
  makeSecrets?(root: string, formation: Formation, variables: VariablesOf): MadeSecrets
}

/** What was made, and what a person has to fill in: `PAYMENTS_KEY in .secrets/orders.env`. */
export interface MadeSecrets {
  made: string[]
  open: string[]
}

/** Every file that is derived from the formation, by its path from the root on. */
export async function render(root: string, formation: Formation): Promise<Map<string, string>> {
  const variables = await readVariables(root, formation)
  const platforms = await listPlatforms()
  return new Map([
    ['.env.example', renderEnvExample(formation, variables)],
    ['docs/process-types.md', renderProcessTypes(formation)],
    ...platforms.flatMap((platform) => platform.render(formation, variables)),
  ])
}

export async function listPlatforms(): Promise<Platform[]> {
  const files = globSync('*/render.ts', { cwd: import.meta.dirname }).sort()
  return Promise.all(
    files.map((file) => import(pathToFileURL(join(import.meta.dirname, file)).href) as Promise<Platform>),
  )
}
