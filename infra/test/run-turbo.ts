import { join } from 'node:path'
import { spawnTethered, type TetheredProcess } from '@repo/testing/spawn-tethered'
import { root, type Member } from './members.ts'

/**
 * Runs the members' tests with turbo, after the tasks that they depend on, `atOnce` at a time. Unchanged results come from
 * turbo's cache. With `file`, only test files whose path contains it are run. Prints only what fails.
 */
export function runTurbo(
  members: Member[],
  env: Record<string, string | undefined>,
  { atOnce, file }: { atOnce: number; file?: string | undefined },
): TetheredProcess {
  const filters = members.map(({ name }) => `--filter=${name}`)
  const pace = [`--concurrency=${atOnce}`, '--continue=dependencies-successful']
  const output = ['--output-logs=errors-only', '--log-order=grouped', '--json']
  const turbo = join(root, 'node_modules/turbo/bin/turbo')
  const only = file === undefined ? [] : ['--', file]
  return spawnTethered(process.execPath, [turbo, 'run', 'test', ...filters, ...pace, ...output, ...only], {
    cwd: root,
    env: { ...process.env, ...env, TURBO_TELEMETRY_DISABLED: '1', NO_COLOR: '1' },
    onLine: buildPrinter(),
  })
}

// Lines of turbo and pnpm around a runner's output, which are not printed. Our own lines say what failed.
const CHATTER = /^cache (miss|hit)|^\$ |^\[ELIFECYCLE\]|^command |^ ERROR  run failed/

/** Prints turbo's lines, which are JSON, under the name of the member that wrote them. */
function buildPrinter(): (line: string) => void {
  let lastSource = 'turbo'
  return (line) => {
    const { source, level, text } = parse(line)
    if ((source === 'turbo' && level === 'info') || CHATTER.test(text)) return
    if (source !== lastSource) console.error(`\n${source}`)
    lastSource = source
    console.error(text)
  }
}

function parse(line: string): { source: string; level: string; text: string } {
  return line.startsWith('{"source"') ? JSON.parse(line) : { source: 'turbo', level: 'error', text: line }
}
