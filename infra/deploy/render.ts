import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { TSchema } from 'typebox'
import { Declaration, type Formation, type ProcessType } from '../formation.ts'
import { readVariables, renderEnvExample, type VariablesOf } from './variables.ts'

/** A platform for deployments: the `render.ts` of a folder here. A team that does not use it removes the folder. */
export interface Platform {
  /** The files that the platform reads, each with its path from the root. */
  render(formation: Formation, variables: VariablesOf): [path: string, text: string][]
  /** A folder in which every file is rendered: any other file there belongs to a process type that is gone. */
  FOLDER?: string
  /** Creates the secrets of the processes, for a platform that does not store secrets itself. */
  makeSecrets?(root: string, formation: Formation, variables: VariablesOf): MadeSecrets
}

/** The files that were written, and the values that a developer has to fill in: `PAYMENTS_KEY in .secrets/orders.env`. */
export interface MadeSecrets {
  made: string[]
  open: string[]
}

/** Every file that is derived from the formation: its text, by its path from the root. */
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

const HEAD = ['process type', 'app', 'answers', 'attached to', 'calls', 'calls out to', 'memory', 'disk']

/** docs/process-types.md: the list of process types. */
function renderProcessTypes({ release, running }: Formation): string {
  const rows = [
    ...release.map((type) => rowOf(type, 'nothing: it runs once per release, before the others')),
    ...running.map((type) => rowOf(type, type.route ? `\`${type.route}\`` : 'nothing: it works on jobs')),
  ]
  const words = Object.entries<TSchema & { description?: string }>(Declaration.properties).map(
    ([word, schema]) => [`\`${word}\``, schema.description ?? ''],
  )
  return `# Process types

Each runs as zero or more processes. Written by \`pnpm infra\` from the \`processes\` in \`apps/*/package.json\`.

${renderTable([HEAD, ...rows])}

## What is declared

Each under the name of the process type. All but \`entry\` may be left out.

${renderTable([['word', 'what it says'], ...words])}
`
}

function renderTable([head, ...rows]: string[][]): string {
  const widths = head!.map((_, column) => Math.max(...[head!, ...rows].map((row) => row[column]!.length)))
  const line = (cells: string[], filler = ' '): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!, filler)).join(' | ')} |`
  return [line(head!), line(Array(head!.length).fill(''), '-'), ...rows.map((row) => line(row))].join('\n')
}

function rowOf(
  { name, app, needs, calls, reaches, memoryMiB, scratchMiB }: ProcessType,
  answers: string,
): string[] {
  return [
    `\`${name}\``,
    `[${app}](../${app})`,
    answers,
    needs.join(', '),
    calls.map((callee) => `\`${callee}\``).join(', '),
    reaches.map((place) => `\`${place}\``).join(', '),
    `${memoryMiB} MiB`,
    scratchMiB ? `${scratchMiB} MiB` : '',
  ]
}
