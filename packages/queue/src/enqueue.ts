import type { Static, TObject } from 'typebox'
import { checkPayload, type Job } from './define-job.ts'

/** What the queue needs of a Prisma client, or of the transaction that one hands out. */
export interface RawQueries {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
}

export interface EnqueueOptions {
  delayMs?: number
  /** Of the jobs of one name with the same key, as a user's id, one runs at a time, in whichever worker. */
  oneAtATime?: string
}

/**
 * Makes a job in the caller's transaction: it exists when, and only when, the transaction commits. A worker that has
 * nothing to do starts it within milliseconds.
 *
 * @throws QUEUE_PAYLOAD_INVALID
 */
export async function enqueue<S extends TObject>(
  tx: RawQueries,
  job: Job<S>,
  payload: Static<S>,
  { delayMs = 0, oneAtATime }: EnqueueOptions = {},
): Promise<{ id: string }> {
  const [row] = await tx.$queryRawUnsafe<[{ id: string }]>(
    `SELECT id::text FROM (
       SELECT CASE WHEN $5::text IS NOT NULL THEN $5 || pg_advisory_xact_lock_shared(hashtext('queue.queues'))::text END AS name
     ) AS queue, LATERAL add_job(
       $1, $2::json, max_attempts => $3::int, run_at => now() + $4::float8 * interval '1 millisecond',
       queue_name => queue.name)`,
    job.name,
    JSON.stringify(checkPayload(job, payload)),
    job.attempts,
    delayMs,
    oneAtATime === undefined ? null : `${job.name} ${oneAtATime}`,
  )
  return row
}
