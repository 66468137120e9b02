import type { Pool } from 'pg'

/** Every job with its name, as graphile-worker's view `jobs` has it: a table of an app may be called so, and comes first. */
export const JOBS = `(
  SELECT jobs.*, tasks.identifier AS task_identifier, queues.queue_name FROM _private_jobs AS jobs
  JOIN _private_tasks AS tasks ON tasks.id = jobs.task_id
  LEFT JOIN _private_job_queues AS queues ON queues.id = jobs.job_queue_id
) AS jobs`

/** The schema of the queue that is on the path of whoever is connected. @throws when there is none */
export async function findQueueSchema(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ schema: string }>(
    `SELECT nspname AS schema FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE pg_class.oid = to_regclass('_private_jobs')`,
  )
  if (!rows[0])
    throw new Error('There is no queue on the search_path of this role: the release process makes it')
  return rows[0].schema
}
