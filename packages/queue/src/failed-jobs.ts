import type { RawQueries } from './define-job.ts'
import { DIED, JOBS } from './queue-tables.ts'

export interface FailedJob {
  id: string
  job: string
  error: string
  /** ISO 8601. */
  failedAt: string
}

export interface QueueDepth {
  /** Could run now. The number of workers scales by this. */
  waiting: number
  running: number
  /** Must not run yet: a retry, a delay. */
  later: number
  /** Out of attempts, and kept. */
  failed: number
}

/** Jobs that are out of attempts, the latest first. `limit` is 100 by default. */
export async function listFailed(database: RawQueries, { limit = 100 } = {}): Promise<FailedJob[]> {
  const rows = await database.$queryRawUnsafe<(Omit<FailedJob, 'failedAt'> & { failedAt: Date })[]>(
    `SELECT id::text, task_identifier AS job, updated_at AS "failedAt", last_error AS error
     FROM ${JOBS} WHERE ${isFailed} ORDER BY updated_at DESC, id DESC LIMIT $1::int`,
    limit,
  )
  return rows.map((row) => ({ ...row, failedAt: row.failedAt.toISOString() }))
}

/** Gives a failed job all its attempts again, or every failed job when no id is given. Resolves to their number. */
export async function retryFailed(database: RawQueries, id?: string): Promise<number> {
  const rows = await database.$queryRawUnsafe<unknown[]>(
    `WITH retried AS (
       UPDATE _private_jobs
       SET attempts = 0, flags = flags - '${DIED}', run_at = now(), updated_at = now()
       WHERE ${isFailed} AND ($1::text IS NULL OR id::text = $1) RETURNING id
     )
     SELECT id::text, pg_notify('jobs:insert', '{"count":1}')::text FROM retried`,
    id ?? null,
  )
  return rows.length
}

/** How many jobs are in the queue, by their state. */
export async function measureQueue(database: RawQueries): Promise<QueueDepth> {
  const [depth] = await database.$queryRawUnsafe<[QueueDepth]>(
    `SELECT count(*) FILTER (WHERE NOT ${isFailed} AND locked_at IS NULL AND run_at <= now())::int AS waiting,
       count(*) FILTER (WHERE locked_at IS NOT NULL)::int AS running,
       count(*) FILTER (WHERE NOT ${isFailed} AND locked_at IS NULL AND run_at > now())::int AS later,
       count(*) FILTER (WHERE ${isFailed})::int AS failed
     FROM ${JOBS}`,
  )
  return depth
}

const isFailed = '(attempts >= max_attempts AND locked_at IS NULL)'
