import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '@repo/testing/start-postgres'
import { Client } from 'pg'
import { findDatabase } from '../find-database.ts'

/**
 * Takes from the database of `pnpm dev` what an app that is gone had there, so that a service of the same name may come again. Any other database is left to a person.
 *
 * @param leavings as SQL
 * @returns whether there is such a database, and it is done
 */
export async function forgetTables(root: string, leavings: string): Promise<boolean> {
  const directory = join(root, '.dev/postgres')
  if (process.env.DATABASE_URL || !existsSync(join(directory, 'data'))) return false
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
