import { escapeIdentifier as quote, Pool } from 'pg'

/**
 * Makes or updates the queue's own tables, in a schema that has nothing else in it. Part of the release; may run twice at once.
 *
 * @param url of the role to which they belong
 * @param schema which is on that role's `search_path`: no SQL of ours names it
 */
export async function migrateQueue(url: string, schema: string): Promise<void> {
  const { Logger, runMigrations } = await import('graphile-worker')
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // Whoever asks next is told; without listeners the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  try {
    await pool.query(tablesIn(quote(schema)))
    await runMigrations({ pgPool: pool, schema, logger: new Logger(() => () => {}) })
  } finally {
    await pool.end()
  }
}

// One simple query is one transaction, so two releases wait for each other at its first line.
const tablesIn = (schema: string): string => `
  SELECT pg_advisory_xact_lock(hashtext('queue.migrate'));

  -- As graphile-worker begins, but for its CREATE SCHEMA: that asks for a right in the whole database, also when it is there.
  CREATE TABLE IF NOT EXISTS ${schema}.migrations (
    id int PRIMARY KEY, ts timestamptz NOT NULL DEFAULT now(), breaking boolean NOT NULL DEFAULT false
  );

  -- Who may hold jobs. A worker is alive while its session holds the advisory lock on its id.
  CREATE TABLE IF NOT EXISTS ${schema}.queue_workers (id text PRIMARY KEY);

  -- The last tick of each schedule that has been made a job, or passed before there was anybody to make it.
  CREATE TABLE IF NOT EXISTS ${schema}.queue_schedules (name text PRIMARY KEY, last_tick timestamptz NOT NULL);
`
