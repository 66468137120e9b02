import { existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Change } from './change.ts'
import type { Capability } from './template.ts'

const HELP = `pnpm add-to <app> database|session|queue

Gives an existing app what pnpm new --with would have given it: variables, resources and declarations, all of it or nothing.
Your code stays as it is. The example of a new service is not added.

  database    tables of its own: an empty schema.prisma, and the client
  session     knows which user is signed in
  queue       a worker and tables, for jobs that are enqueued in the transaction that needs them

  --dry-run   prints the change as a patch, and changes nothing
  --force     also when there are changes that are not committed
`

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time is compiling, so its result is kept.
enableCompileCache(join(root, '.dev/compile-cache'))
const { applyChange } = await import('./apply-change.ts')
const { deriveAgain } = await import('./derived-files.ts')
const { assertApp } = await import('./names.ts')
const { planAddition } = await import('./plan-addition.ts')
const { printDry, runCommand, tellPnpm } = await import('./run-command.ts')
const { capabilities } = await import('./template.ts')
const { app, capability, isDry, isForced } = readArguments()

await runCommand(root, { isDry, isForced }, run)

async function run(): Promise<void> {
  assertApp(root, app)
  const plan = () => planAddition(root, app, capability, (changed) => deriveAgain(root, changed))
  if (isDry) return printDry(root, await plan())
  const { notes } = await applyChange(root, async (): Promise<Change> => {
    const change = await plan()
    // The links come before the files that import them, because a running pnpm dev restarts the app at once.
    for (const [path, to] of change.links) link(join(root, 'apps', app, path), to)
    return change
  })
  console.log(`apps/${app} has ${capability} (${(performance.now() / 1000).toFixed(2)} s).`)
  for (const note of notes) console.log(note)
  await tellPnpm(root)
}

function link(path: string, to: string): void {
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(to, path, 'dir')
}

function readArguments(): { app: string; capability: Capability; isDry: boolean; isForced: boolean } {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      console.log(HELP)
      process.exit()
    }
    const [app, word, ...rest] = positionals
    if (app === undefined || word === undefined) throw new Error('Which app, and what?')
    const capability = capabilities.find((known) => known === word)
    if (!capability || rest.length > 0)
      throw new Error(`${[word, ...rest].join(' ')}: expected one of ${capabilities.join(', ')}`)
    return { app, capability, isDry: values['dry-run'], isForced: values.force }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(1)
  }
}
