import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyChange } from './apply-change.ts'
import { pathOf, type Change } from './change.ts'
import { listApps } from './names.ts'
import { planRetirement } from './plan-retirement.ts'
import { printDry, printSteps, tellPnpm } from './run-command.ts'

/**
 * Removes an app or a package, and its schemas and role in the database of `pnpm dev`.
 *
 * @param folder as `apps/orders`
 * @throws {Refusal} while something depends on it; the message lists the places
 */
export async function retireMember(
  root: string,
  folder: string,
  { isDry }: { isDry: boolean },
): Promise<void> {
  const plan = (): Promise<Change> => planRetirement(root, folder)
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

/** The example apps of the starter, which have `"example": true` in their package.json. */
export function listExamples(root: string): string[] {
  return listApps(root).filter((app) => {
    const manifest = readFileSync(join(root, 'apps', app, 'package.json'), 'utf8')
    return (JSON.parse(manifest) as { example?: boolean }).example
  })
}

/**
 * Drops what a removed app had in the database of `pnpm dev`, so that a new service can have the same name. In any other
 * database the user does that.
 *
 * @param leavings as SQL
 * @returns false when DATABASE_URL is set, or `pnpm dev` has no database yet
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
    // Only stopped: disposal is for a temporary folder.
    resources.defer(() => own.stop())
    url = own.url
  }
  // Processes that still use the tables stop soon. The timeouts limit the wait for them.
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000, lock_timeout: 10_000 })
  await client.connect()
  resources.defer(() => client.end())
  // Several statements in one query are one transaction.
  await client.query(leavings)
  return true
}

/** Prints the steps and the notes before they are applied. */
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
