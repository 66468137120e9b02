import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyChange } from './apply-change.ts'
import { pathOf, type Change } from './change.ts'
import { deriveWithout } from './derived-files.ts'
import { listApps } from './names.ts'
import { planRetirement } from './plan-retirement.ts'
import { printDry, printSteps, tellPnpm } from './run-command.ts'

/**
 * Takes an app or a package away, and what the database of `pnpm dev` has of it.
 *
 * @param folder as `apps/orders`
 * @throws {Refusal} while something depends on it, naming the places
 */
export async function retireMember(
  root: string,
  folder: string,
  { isDry }: { isDry: boolean },
): Promise<void> {
  const plan = (): Promise<Change> => planRetirement(root, folder, (app) => deriveWithout(root, app))
  if (isDry) {
    const change = await plan()
    return printDry(root, change, notesOn(change))
  }
  const { steps, leavings } = await applyChange(root, async () => show(await plan()))
  if (leavings) {
    const isForgotten = await forgetTables(root, leavings).catch((error: Error) => {
      console.error(`The database of pnpm dev keeps its tables: ${error.message}`)
    })
    if (isForgotten) console.log('Its tables are gone from the database of pnpm dev.')
  }
  console.log(`${folder} is gone (${(performance.now() / 1000).toFixed(2)} s).`)
  await tellPnpm(root, { mayTidyUp: steps.some((step) => pathOf(step) === 'pnpm-workspace.yaml') })
}

/** The apps that came with the starter to show how things are done. */
export function listExamples(root: string): string[] {
  return listApps(root).filter((app) => {
    const manifest = readFileSync(join(root, 'apps', app, 'package.json'), 'utf8')
    return (JSON.parse(manifest) as { example?: boolean }).example
  })
}

/**
 * Takes from the database of `pnpm dev` what an app that is gone had there, so that a service of the same name may come again. Any other database is left to a person.
 *
 * @param leavings as SQL
 * @returns whether there is such a database, and it is done
 */
async function forgetTables(root: string, leavings: string): Promise<boolean> {
  const directory = join(root, '.dev/postgres')
  if (process.env.DATABASE_URL || !existsSync(join(directory, 'data'))) return false
  const { startPostgres } = await import('@repo/testing/start-postgres')
  const { Client } = await import('pg')
  const { findDatabase } = await import('../databases.ts')
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
  printSteps(change.steps)
  for (const note of notesOn(change)) console.log(note)
  return change
}

function notesOn({ notes, leavings }: Change): string[] {
  return leavings
    ? [...notes, `What it has in a database of yours stays there until you drop it:\n${leavings}`]
    : notes
}
