import { join } from 'node:path'
import { spawnTethered, type TetheredProcess } from '@repo/testing/spawn-tethered'
import { root, type Member } from './members.ts'

/**
 * Has turbo run the members' tests: what they need first, two members at a time, those that cannot have changed
 * from its cache. Prints what fails and nothing else.
 */
export function runTurbo(members: Member[], env: Record<string, string | undefined>): TetheredProcess {
  const filters = members.map(({ name }) => `--filter=${name}`)
  const pace = ['--concurrency=2', '--continue=dependencies-successful']
  const output = ['--output-logs=errors-only', '--log-order=grouped', '--json']
  const turbo = join(root, 'node_modules/turbo/bin/turbo')
  return spawnTethered(process.execPath, [turbo, 'run', 'test', ...filters, ...pace, ...output], {
    cwd: root,
    env: { ...process.env, ...env, TURBO_TELEMETRY_DISABLED: '1' },
    onLine: print,
  })
}

/** A line of turbo's, as JSON: `{ source, level, text }`. Its own chatter is left out, and what members print is not. */
function print(line: string): void {
  const { source, level, text } = line.startsWith('{"source"') ? JSON.parse(line) : { text: line }
  if (source !== 'turbo' || level !== 'info') console.error(text)
}
