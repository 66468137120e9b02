import { randomUUID } from 'node:crypto'
import { escapeIdentifier as quote, Pool, type QueryConfig } from 'pg'
import { EXTENSIONS } from './app-tables.ts'

/** Something a person has to do something about. Its message says what. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}

// The statement of a release that was killed ends with it: without the first, it goes on, and nobody hears how it ended. A
// migration may take its time, whatever the role says of others.
const OPTIONS =
  '-c client_connection_check_interval=5s -c statement_timeout=0 -c idle_in_transaction_session_timeout=0'

/** One connection, which lives until the pool ends: what is set and locked on it holds for all that follows. */
export function openSingle(href: string): Pool {
  const url = new URL(href)
  // The URL's own win over those of the configuration.
  url.searchParams.set('options', `${url.searchParams.get('options') ?? ''} ${OPTIONS}`.trim())
  const pool = new Pool({
    connectionString: url.href,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 10_000,
  })
  // Whoever asks next is told; without a listener the process would end.
  pool.on('error', () => {})
  return Object.assign(pool, {
    // The pool's own way closes the connection after any error, and its locks with it. The engine's first question, on
    // an empty database, is an error: there is no table of migrations yet.
    async query(config: QueryConfig | string, values?: unknown[]) {
      const client = await pool.connect()
      try {
        return await client.query(config as string, values)
      } finally {
        client.release()
      }
    },
  }) as Pool
}

/** A database for a moment, in which this schema is the one that things are made in. */
export async function openScratch(
  admin: string,
  schema: string,
): Promise<{ pool: Pool; close(): Promise<void> }> {
  await using opening = new AsyncDisposableStack()
  const database = `scratch_${randomUUID().replaceAll('-', '')}`
  const server = openSingle(admin)
  opening.defer(() => server.end())
  await server.query(`CREATE DATABASE ${database} TEMPLATE template0`)
  opening.defer(async () => void (await server.query(`DROP DATABASE ${database} WITH (FORCE)`)))
  const pool = openSingle(Object.assign(new URL(admin), { pathname: `/${database}` }).href)
  opening.defer(() => pool.end())
  await pool.query(`CREATE SCHEMA IF NOT EXISTS ${quote(schema)}; CREATE SCHEMA ${EXTENSIONS};
    SET search_path = ${quote(schema)}, ${EXTENSIONS}`)
  const opened = opening.move()
  return { pool, close: () => opened.disposeAsync() }
}
