import type { Formation, ProcessType } from '../formation.ts'

const HEAD = ['process type', 'app', 'answers', 'attached to', 'memory', 'disk']

/** The list of what runs, for people: docs/process-types.md. */
export function renderProcessTypes({ release, running }: Formation): string {
  const rows = [
    ...release.map((type) => rowOf(type, 'nobody: it runs once a release, before the others')),
    ...running.map((type) => rowOf(type, type.route ? `\`${type.route}\`` : 'nobody: it works on jobs')),
  ]
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...rows].map((row) => row[column]!.length)))
  const line = (cells: string[], filler = ' '): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!, filler)).join(' | ')} |`
  return `# Process types

Each runs as zero or more processes. Written by \`pnpm infra\` from the \`processes\` in \`apps/*/package.json\`.

${[line(HEAD), line(Array(HEAD.length).fill(''), '-'), ...rows.map((row) => line(row))].join('\n')}
`
}

function rowOf({ name, app, needs, memoryMiB, scratchMiB }: ProcessType, answers: string): string[] {
  return [
    `\`${name}\``,
    `[${app}](../${app})`,
    answers,
    needs.join(', '),
    `${memoryMiB} MiB`,
    scratchMiB ? `${scratchMiB} MiB` : '',
  ]
}
