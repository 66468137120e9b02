import { styleText } from 'node:util'
import type { Attack } from './attack.ts'
import type { RowResult } from './run-attack.ts'

const COLOURS = { holds: 'green', broken: 'red', 'not run': 'yellow' } as const

function paintVerdict(verdict: RowResult['verdict']): string {
  return styleText(COLOURS[verdict], verdict.toUpperCase().padEnd(7), { stream: process.stdout })
}

/** Prints the verdict of a row and all its findings. */
export function printRow({ row, does, claim, verdict, reason, tookMs, findings }: RowResult): void {
  console.log(`\n${paintVerdict(verdict)}  ${row}: ${does} (${Math.round(tookMs / 1000)} s)`)
  console.log(`         ${claim}`)
  if (reason) console.log(`         ${reason.replaceAll('\n', '\n         ')}`)
  for (const { what, found, limit, holds } of findings) {
    const mark = holds ? ' ' : styleText('red', '✗', { stream: process.stdout })
    const wanted = limit ? `  (${limit})` : ''
    if (typeof found === 'string') console.log(`       ${mark}          ${what}: ${found}${wanted}`)
    else console.log(`       ${mark} ${String(found).padStart(7)}  ${what}${wanted}`)
  }
}

/** The line of a row in the first table of docs/guarantees.md. */
export function renderLine({ name, does, claim }: Attack): string {
  return `| \`${name}\` | ${does} | ${claim} |`
}

/** The line of a row in the second table of docs/guarantees.md. Undefined when the row holds without the edge as well. */
export function renderLineWithoutEdge({ name, withoutEdge }: Attack): string | undefined {
  return withoutEdge && `| \`${name}\` | ${withoutEdge} |`
}

function said({ findings }: RowResult, pattern: RegExp): string {
  return String(findings.find(({ what }) => pattern.test(what))?.found ?? '')
}

/** Prints one line for each row that was requested. */
export function printSummary(results: readonly RowResult[], seed: number): void {
  const width = Math.max(...results.map(({ row }) => row.length))
  console.log(`\n${''.padEnd(7)}  ${'row'.padEnd(width)}  requests  lost  wrong  signed out  broken`)
  for (const result of results) {
    const broken = result.findings.filter(({ holds }) => !holds).map(({ what }) => what)
    const columns = [
      said(result, /^requests$/).padStart(8),
      said(result, /lost$/).padStart(4),
      said(result, /^wrong answers$/).padStart(5),
      said(result, /^people signed out/).padStart(10),
      result.verdict === 'not run' ? result.reason?.split('\n')[0] : broken.join('; '),
    ]
    console.log(`${paintVerdict(result.verdict)}  ${result.row.padEnd(width)}  ${columns.join('  ')}`)
  }
  console.log(`\nRepeat any of them with: pnpm prove <row> --seed ${seed}`)
}
