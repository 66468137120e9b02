import { createDatabase } from './create-database.ts'

let database: Promise<{ url: string }> | undefined

/**
 * A session store for this test file: `SESSION_STORE_URL`, else the Redis of this run, else a Postgres database,
 * which goes with the run.
 */
export async function sessionStoreUrl(): Promise<string> {
  if (process.env.SESSION_STORE_URL) return process.env.SESSION_STORE_URL
  database ??= createDatabase('sessions')
  return (await database).url
}
