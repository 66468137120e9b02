import { existsSync, readFileSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Change } from './change.ts'

const HELP = `pnpm retire <name>
pnpm retire --examples

Takes a service or a package away again, with its schema, its migrations and its part of the page, of tests and the
like (folders apps/<name>), all of it or nothing. Refuses while something depends on it. A running pnpm dev stops its processes by itself.

  --examples  the apps that came with the starter to show how things are done: before your first release
  --dry-run   prints the change as a patch, and does nothing
  --force     also when there are changes that are not committed
`

const root = fileURLToPath(new URL('../..', import.meta.url))
// Most of the time goes into compiling, once.
enableCompileCache(join(root, '.dev/compile-cache'))
const { applyChange } = await import('./apply-change.ts')
const { pathOf, Refusal } = await import('./change.ts')
const { deriveWithout } = await import('./derived-files.ts')
const { listApps } = await import('./names.ts')
const { planRetirement } = await import('./plan-retirement.ts')
const { printDry, runCommand, tellPnpm } = await import('./run-command.ts')
const { values: options, positionals } = readArguments()

await runCommand(root, { isDry: options['dry-run'], isForced: options.force }, run)

async function run(): Promise<void> {
  if (options.examples) {
    const examples = listApps(root).filter((app) => readManifest(`apps/${app}`).example)
    if (examples.length === 0) console.log('There is no example left.')
    for (const app of examples) await retire(`apps/${app}`)
  } else await retire(findMember(positionals[0] ?? ''))
}

async function retire(folder: string): Promise<void> {
  const plan = (): Promise<Change> => planRetirement(root, folder, (app) => deriveWithout(root, app))
  if (options['dry-run']) {
    const change = await plan()
    return printDry(root, change, notesOn(change))
  }
  const { steps, leavings } = await applyChange(root, async () => show(await plan()))
  if (leavings) {
    const isForgotten = await forgetTables(leavings).catch((error: Error) => {
      console.error(`The database of pnpm dev keeps its tables: ${error.message}`)
    })
    if (isForgotten) console.log('Its tables are gone from the database of pnpm dev.')
  }
  console.log(`${folder} is gone (${(performance.now() / 1000).toFixed(2)} s).`)
  await tellPnpm(root, { mayTidyUp: steps.some((step) => pathOf(step) === 'pnpm-workspace.yaml') })
}

/**
 * Takes from the database of `pnpm dev` what an app that is gone had there, so that a service of the same name may come again. Any other database is left to a person.
 *
 * @param leavings as SQL
 * @returns whether there is such a database, and it is done
 */
async function forgetTables(leavings: string): Promise<boolean> {
  const directory = join(root, '.dev/postgres')
  if (process.env.DATABASE_URL || !existsSync(join(directory, 'data'))) return false
  const { startPostgres } = await import('@repo/testing/start-postgres')
  const { Client } = await import('pg')
  const { findDatabase } = await import('../find-database.ts')
  await using resources = new AsyncDisposableStack()
  let url = await findDatabase()
  if (!url) {
    const own = await startPostgres({ directory })
    // Stopped only: disposal would be right for a folder that is temporary.
    resources.defer(() => own.stop())
    url = own.url
  }
  // Whoever still works on the tables is about to be stopped, but nobody waits for that for ever.
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, lock_timeout: 10_000 })
  await client.connect()
  resources.defer(() => client.end())
  // Several statements in one query are one transaction.
  await client.query(leavings)
  return true
}

/** What is going to be done, before it is. */
function show(change: Change): Change {
  for (const step of change.steps) console.log(`  ${'remove' in step ? '-' : '~'} ${pathOf(step)}`)
  for (const note of notesOn(change)) console.log(note)
  return change
}

function notesOn({ notes, leavings }: Change): string[] {
  return leavings
    ? [...notes, `What it has in a database of yours stays there until you drop it:\n${leavings}`]
    : notes
}

function readManifest(folder: string): { example?: boolean } {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as { example?: boolean }
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
        examples: { type: 'boolean', default: false },
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
