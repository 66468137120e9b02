import { Pool } from 'pg'

/** Makes or updates the queue's own tables, beside those of the apps. Part of the release; may run twice at once. */
export async function migrateQueue(url: string): Promise<void> {
  const { Logger, runMigrations } = await import('graphile-worker')
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // Whoever asks next is told; without listeners the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  try {
    await runMigrations({ pgPool: pool, logger: new Logger(() => () => {}) })
    await pool.query(tables)
  } finally {
    await pool.end()
  }
}

// One simple query is one transaction, so two releases wait for each other at its first line.
const tables = `
  SELECT pg_advisory_xact_lock(hashtext('queue.migrate'));
  CREATE SCHEMA IF NOT EXISTS queue;

  -- Who may hold jobs. A worker is alive while its session holds the advisory lock on its id.
  CREATE TABLE IF NOT EXISTS queue.workers (id text PRIMARY KEY);

  -- The last tick of each schedule that has been made a job, or passed before there was anybody to make it.
  CREATE TABLE IF NOT EXISTS queue.schedules (name text PRIMARY KEY, last_tick timestamptz NOT NULL);
`
