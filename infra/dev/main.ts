import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { forgetPostgresVariables, loadDotEnv } from '../environment.ts'
import type { Supervisor } from './supervisor.ts'

const HELP = `pnpm dev [type...] [--each N] [--inspect type] [--raw]

Runs everything on this machine: Postgres and what else processes need, the migrations, one process of the public edge on
http://localhost:3000, and two of every other process type. An edit restarts the processes that import the file.

  type              these process types only, and the public edge
  --each N          N processes of each type instead of two
  --inspect type    a debugger on the first process of this type; may be given again
  --raw             the log as the processes write it: one line of JSON for each entry

  PORT=3001             another port
  DATABASE_URL=...      your Postgres, instead of the embedded one in .dev/postgres. PGSSLMODE and the like are not read:
                        all settings are in the URL
  SESSION_STORE_URL=... your session store, instead of a private Redis or that Postgres

Variables may also be in a file .env at the root, which git ignores. Variables of the shell take precedence.
`

const root = fileURLToPath(new URL('../..', import.meta.url))
const { isRaw, ...options } = readArguments()
loadDotEnv(root)
forgetPostgresVariables()

// Most of the start is compiling. This process and every process that it starts use the same cache.
enableCompileCache(join(root, '.dev/compile-cache'))
const { waitForTree } = await import('../generator/lock-tree.ts')
const { createPrinter } = await import('./print.ts')
const { runDevelopment } = await import('./run-development.ts')
const { watchParents } = await import('./watch-parents.ts')

const print = createPrinter(process.stdout, { isRaw })
const running = new AsyncDisposableStack()
let supervisor: Supervisor | undefined
let stoppingSince: number | undefined

/** Stops everything in reverse order. A process that is still left is tethered to this one, and stops with it. */
async function stop(exitCode: number): Promise<void> {
  if (stoppingSince !== undefined) return
  stoppingSince = performance.now()
  await running.disposeAsync().catch((error: Error) => print.warn(error.message))
  process.exit(exitCode)
}

function interrupt(): void {
  // The user's second Ctrl-C. Within 300 ms it may be the first one again, passed on by npx or pnpm.
  if (stoppingSince !== undefined && performance.now() - stoppingSince > 300) {
    supervisor?.kill()
    process.exit(130)
  }
  void stop(0)
}

process.on('SIGINT', interrupt)
process.on('SIGTERM', () => void stop(0))
process.on('SIGHUP', () => void stop(0))
// After the terminal is closed, writes fail, and we still have to stop everything.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})
watchParents(() => void stop(0))

try {
  await waitForTree(root)
  supervisor = await runDevelopment({ root, print, port: readPort(), ...options }, running)
} catch (error) {
  if (stoppingSince === undefined) print.warn((error as Error).message)
  await stop(1)
}

function readArguments(): { only: string[]; each: number; inspected: string[]; isRaw: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        each: { type: 'string', default: '2' },
        inspect: { type: 'string', multiple: true, default: [] },
        raw: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(HELP)
      process.exit()
    }
    if (!/^[1-9]\d?$/.test(values.each))
      throw new Error(`--each ${values.each}: expected a number from 1 to 99`)
    return { only: positionals, each: Number(values.each), inspected: values.inspect, isRaw: values.raw }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${HELP}`)
    process.exit(1)
  }
}

function readPort(): number {
  const port = process.env.PORT || '3000'
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new Error(`PORT=${port}: expected a port`)
  return Number(port)
}
