import { Client, escapeIdentifier as quote, Pool } from 'pg'

/**
 * Creates or updates the tables of the queue, in a schema that has nothing else in it. The release process calls it; two may do so
 * at once.
 *
 * @param url of the role that owns the tables
 * @param schema must be on the `search_path` of that role, because the SQL of this package names no schema
 */
export async function migrateQueue(url: string, schema: string): Promise<void> {
  const { Logger, runMigrations } = await import('graphile-worker')
  const pool = new Pool({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // The next query reports a broken connection; without listeners the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  try {
    await pool.query(tablesIn(quote(schema)))
    await runMigrations({ pgPool: pool, schema, logger: new Logger(() => () => {}) })
  } finally {
    await pool.end()
  }
}

// One simple query is one transaction, so two release processes wait for each other at its first line.
const tablesIn = (schema: string): string => `
  SELECT pg_advisory_xact_lock(hashtext('queue.migrate'));

  -- As graphile-worker begins, but for its CREATE SCHEMA: that asks for a right in the whole database, also when it is there.
  CREATE TABLE IF NOT EXISTS ${schema}.migrations (
    id int PRIMARY KEY, ts timestamptz NOT NULL DEFAULT now(), breaking boolean NOT NULL DEFAULT false
  );

  -- The workers that may hold jobs. A worker is alive while its session holds the advisory lock on its id.
  CREATE TABLE IF NOT EXISTS ${schema}.queue_workers (id text PRIMARY KEY);

  -- The last tick of each schedule for which a job was made, or which passed before any worker ran.
  CREATE TABLE IF NOT EXISTS ${schema}.queue_schedules (name text PRIMARY KEY, last_tick timestamptz NOT NULL);
`

/**
 * Every job with its name, as in the view `jobs` of graphile-worker. The view itself is not used: a table of an app may have the same
 * name, and comes first on the search path.
 */
export const JOBS = `(
  SELECT jobs.*, tasks.identifier AS task_identifier, queues.queue_name FROM _private_jobs AS jobs
  JOIN _private_tasks AS tasks ON tasks.id = jobs.task_id
  LEFT JOIN _private_job_queues AS queues ON queues.id = jobs.job_queue_id
) AS jobs`

/** The flag of a job whose worker died at its last attempt. The worker that claims such a job gives it up and does not run it. */
export const DIED = 'worker died'

/** The schema of the queue on the `search_path` of the connected role. @throws when there is none */
export async function findQueueSchema(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ schema: string }>(
    `SELECT nspname AS schema FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass('_private_jobs')`,
  )
  if (!rows[0])
    throw new Error('There is no queue on the search_path of this role: the release process makes it')
  return rows[0].schema
}

/**
 * Moves the waiting and the failed jobs of an app, and the last ticks of its schedules, to its own queue. They come from the one queue
 * that all apps once shared, in the schemas `graphile_worker` and `queue`. A job belongs to the app that its name begins with, as in
 * `orders.pay`. When no job is left there, both schemas are dropped. No worker may run meanwhile.
 *
 * @param admin the URL of a role that may read both queues
 * @param schema of the app's own queue
 * @returns how many jobs were moved
 */
export async function moveJobs(admin: string, app: string, schema: string): Promise<number> {
  const client = new Client({ connectionString: admin, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows: found } = await client.query(`SELECT to_regclass('graphile_worker._private_jobs') AS queue`)
    if (found[0].queue === null) return 0
    await client.query('BEGIN')
    const { rows: jobs } = await client.query<{ id: string }>(
      'SELECT id::text FROM graphile_worker.jobs WHERE starts_with(task_identifier, $1) ORDER BY id',
      [`${app}.`],
    )
    for (const { id } of jobs) {
      const { rows } = await client.query<{ id: string }>(addAgain(quote(schema)), [id])
      await client.query(keepHistory(quote(schema)), [id, rows[0]!.id])
      await client.query('DELETE FROM graphile_worker._private_jobs WHERE id = $1', [id])
    }
    await client.query(
      `INSERT INTO ${quote(schema)}.queue_schedules SELECT * FROM queue.schedules WHERE starts_with(name, $1)
       ON CONFLICT DO NOTHING`,
      [`${app}.`],
    )
    const { rows: left } = await client.query('SELECT FROM graphile_worker._private_jobs LIMIT 1')
    if (left.length === 0)
      await client.query('DROP SCHEMA graphile_worker CASCADE; DROP SCHEMA queue CASCADE')
    await client.query('COMMIT')
    return jobs.length
  } finally {
    await client.end()
  }
}

const addAgain = (schema: string): string => `
  SELECT (${schema}.add_job(task_identifier, payload, queue_name, jobs.run_at, jobs.max_attempts, jobs.key, jobs.priority)).id::text
  FROM graphile_worker.jobs JOIN graphile_worker._private_jobs AS job USING (id) WHERE id = $1`

const keepHistory = (schema: string): string => `
  UPDATE ${schema}._private_jobs AS job
  SET attempts = old.attempts, last_error = old.last_error, created_at = old.created_at, updated_at = old.updated_at
  FROM graphile_worker._private_jobs AS old WHERE old.id = $1 AND job.id = $2`
