import { Client, escapeIdentifier as quote } from 'pg'

/**
 * Takes over the jobs of an app, those that wait and those that have failed, and where its schedules stand, from the one queue that
 * all apps of a clone once had, in the schemas `graphile_worker` and `queue`. A job is an app's by its name, as `orders.pay`.
 * Once nobody has a job there, the two schemas go. Nobody may work on jobs meanwhile.
 *
 * @param admin the URL of whoever may read both
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
