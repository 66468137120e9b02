import type { TSchema } from 'typebox'
import { Declaration, type Formation, type ProcessType } from '../formation.ts'

const HEAD = ['process type', 'app', 'answers', 'attached to', 'calls out to', 'memory', 'disk']

/** The list of what runs, for people: docs/process-types.md. */
export function renderProcessTypes({ release, running }: Formation): string {
  const rows = [
    ...release.map((type) => rowOf(type, 'nobody: it runs once a release, before the others')),
    ...running.map((type) => rowOf(type, type.route ? `\`${type.route}\`` : 'nobody: it works on jobs')),
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

function rowOf({ name, app, needs, reaches, memoryMiB, scratchMiB }: ProcessType, answers: string): string[] {
  return [
    `\`${name}\``,
    `[${app}](../${app})`,
    answers,
    needs.join(', '),
    reaches.map((place) => `\`${place}\``).join(', '),
    `${memoryMiB} MiB`,
    scratchMiB ? `${scratchMiB} MiB` : '',
  ]
}
