import { existsSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Change } from '@repo/generator'

const HELP = `pnpm retire <name>

Takes a service or a package away again, with its tables, all of it or nothing. Refuses while something depends on it.
A running pnpm dev stops its processes by itself.

  --dry-run   prints the change as a patch, and does nothing
  --force     also when there are changes that are not committed
`

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time goes into compiling, once.
enableCompileCache(join(root, '.dev/compile-cache'))
const { applyChange, planRetirement, printChange, Refusal, settleChange } = await import('@repo/generator')
const { assertCleanTree } = await import('../new/assert-clean-tree.ts')
const { deriveWithout } = await import('../new/derived-files.ts')
const { listApps } = await import('../new/taken-names.ts')
const { tellPnpm } = await import('../new/tell-pnpm.ts')
const { values: options, positionals } = readArguments()

try {
  await settleChange(root)
  await run()
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  console.error(error.message)
  process.exitCode = 1
}

async function run(): Promise<void> {
  if (!options.force && !options['dry-run']) assertCleanTree(root)
  const folder = findMember(positionals[0] ?? '')
  const plan = (): Promise<Change> => planRetirement(root, folder, (app) => deriveWithout(root, app))
  if (options['dry-run']) {
    const change = await plan()
    process.stdout.write(printChange(root, change))
    for (const note of change.notes) console.error(note)
    return
  }
  const { steps, notes } = await applyChange(root, plan)
  for (const step of steps) if ('remove' in step) console.log(`  - ${step.remove}`)
  for (const note of notes) console.log(note)
  console.log(`${folder} is gone (${(performance.now() / 1000).toFixed(2)} s).`)
  await tellPnpm(root)
}

function findMember(name: string): string {
  const found = ['apps', 'packages']
    .map((parent) => `${parent}/${name}`)
    .filter((folder) => /^[a-z0-9-]+$/.test(name) && existsSync(join(root, folder, 'package.json')))
  if (found.length === 1) return found[0]!
  throw new Refusal(
    name === '' ? HELP : `There is no app or package ${name}. The apps are ${listApps(root).join(', ')}.`,
  )
}

function readArguments() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean', default: false },
        force: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (!parsed.values.help) return parsed
    console.log(HELP)
    process.exit()
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`)
    process.exit(1)
  }
}
