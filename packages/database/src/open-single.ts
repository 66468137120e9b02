import { randomUUID } from 'node:crypto'
import { escapeIdentifier as quote, Pool, type QueryConfig } from 'pg'
import { EXTENSIONS } from './app-tables.ts'
import type { PromisePool } from './open-pool.ts'

/** A problem that a person must solve. The message says how. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}

// The first option ends the statement of a killed release. Without it, the statement would continue, and its end would not
// be recorded. The others give migrations unlimited time, whatever the role's limits are.
const OPTIONS =
  '-c client_connection_check_interval=5s -c statement_timeout=0 -c idle_in_transaction_session_timeout=0'

/** A pool of one connection, which lives until the pool ends. Settings and locks on it apply to all later queries. */
export function openSingle(href: string): PromisePool {
  const url = new URL(href)
  // `pg` would prefer the URL's own options, so these are added to them.
  url.searchParams.set('options', `${url.searchParams.get('options') ?? ''} ${OPTIONS}`.trim())
  const pool = new Pool({
    connectionString: url.href,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 10_000,
  })
  // The next query gets the error. Without a listener, the process would end.
  pool.on('error', () => {})
  return Object.assign(pool, {
    // The pool's own `query` closes the connection after any error, and so releases its locks. On an empty database the
    // first query of the engine fails, because there is no table of migrations yet.
    async query(config: QueryConfig | string, values?: unknown[]) {
      const client = await pool.connect()
      try {
        return await client.query(config as string, values)
      } finally {
        client.release()
      }
    },
  }) as PromisePool
}

/** Creates a scratch database in which this schema is the default. `close` drops it. */
export async function openScratch(
  admin: string,
  schema: string,
): Promise<{ pool: PromisePool; close(): Promise<void> }> {
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
