import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { NewOptions } from './run-new.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time goes into compiling, once.
enableCompileCache(join(root, '.dev/compile-cache'))
const { capabilities, kinds } = await import('@repo/generator')
const { runCommand } = await import('./run-command.ts')
const { runNew } = await import('./run-new.ts')

const HELP = `pnpm new [name] [--kind ${kinds.join('|')}] [--with ${capabilities.join(',')}]
pnpm new route app/name
pnpm new job app/name

A service more, or a package, or a route or a job in an app: wired wherever it must be, all of it or nothing.
Asks for what is not said. A running pnpm dev starts the new service by itself.

  --kind      http           answers requests under /api/<name>; the default
              worker         runs jobs
              http+worker    both, from one code base
              package        a mechanism that apps share
  --with      database       tables of its own, and the first migration
              session        knows who is signed in
              queue          makes jobs, in the transaction that made them necessary
  --dry-run   prints the change as a patch, and does nothing
  --force     also when there are changes that are not committed
`

const options = readArguments()
await runCommand(root, options, () => runNew(root, options))

function readArguments(): NewOptions {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        kind: { type: 'string' },
        with: { type: 'string', multiple: true, default: [] },
        'dry-run': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      console.log(HELP)
      process.exit()
    }
    const asked = values.with.flatMap((list) => list.split(',')).filter((word) => word !== '')
    return {
      words: positionals,
      kind: values.kind === undefined ? undefined : oneOf('--kind', kinds, values.kind),
      with: [...new Set(asked.map((word) => oneOf('--with', capabilities, word)))],
      isDry: values['dry-run'],
      isForced: values.force,
    }
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(1)
  }
}

function oneOf<T extends string>(option: string, known: readonly T[], word: string): T {
  const found = known.find((each) => each === word)
  if (!found) throw new Error(`${option} ${word}: expected ${known.join(', ')}`)
  return found
}
