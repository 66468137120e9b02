import { join } from 'node:path'
import { startProcess } from '@repo/testing/start-process'
import { Client, escapeIdentifier as quote } from 'pg'
import { databaseEnvironment } from '../databases.ts'
import { readFormation } from '../formation.ts'

/**
 * Runs the release processes on a server that holds the tables of all. What the environment says of an app's database, or of where
 * sessions live, wins.
 *
 * @returns the exit code
 */
export async function runRelease(root: string, server: string): Promise<number> {
  const formation = readFormation(root)
  const environmentOf = databaseEnvironment(
    formation,
    server,
    process.env['SESSION_STORE_URL'] || undefined,
    process.env,
  )
  for (const type of formation.release) {
    const { name, app, entry } = type
    const running = await startProcess({
      name,
      cwd: join(root, app),
      entry,
      env: { ...process.env, ...environmentOf(type) },
      onLine: (line) => console.log(line),
    })
    const { code } = await running.exited
    if (code !== 0) return code ?? 1
  }
  return 0
}

/** Takes away what the migrations of an app have made, with all rows. Its jobs stay. */
export async function dropTables(server: string, schema: string): Promise<void> {
  const client = new Client({ connectionString: server, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    await client.query(`DROP SCHEMA IF EXISTS ${quote(schema)} CASCADE`)
  } finally {
    await client.end()
  }
}
