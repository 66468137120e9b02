import createError from '@fastify/error'
import type { JobHelpers } from 'graphile-worker'
import { PayloadInvalid } from './define-job.ts'
import type { RawQueries } from './enqueue.ts'
import type { HandledJob, QueueLog, TransactionSource } from './run-jobs.ts'

export const JobTakenOver = createError<[id: string]>(
  'QUEUE_JOB_TAKEN_OVER',
  'Job %s belongs to another worker by now: nothing is written',
  500,
)

/** Set on a job whose worker died at its last attempt: whoever claims it gives it up, and does not run it. */
export const DIED = 'worker died'

export interface RunJobOptions<Tx extends RawQueries> {
  database: TransactionSource<Tx>
  /** Aborted when this worker must stop, or has lost its lease. */
  signal: AbortSignal
  log: QueueLog
  /** Called when Postgres could not be told how the job ended. */
  onUnreported(error: unknown): void
}

/**
 * Runs a job that this worker has claimed. Rejects with what the queue keeps when the job has failed.
 *
 * @returns `interrupted` when that is no fault of the job: then its claim must be given back, and the attempt with it.
 */
export async function runJob<Tx extends RawQueries>(
  { job, run, giveUp }: HandledJob<Tx>,
  payload: unknown,
  { job: { id, locked_by: workerId, attempts: attempt, max_attempts, flags }, withPgClient }: JobHelpers,
  { database, signal, log: workerLog, onUnreported }: RunJobOptions<Tx>,
): Promise<'done' | 'interrupted'> {
  const log = workerLog.child({ job: job.name, jobId: id, attempt })
  // No two claims have the same: each life of a worker has an id of its own, and what it gives back it never claims again.
  const claim = [id, workerId, attempt] as const
  const begunAt = performance.now()
  let isRunning = true
  let isTakenOver = false

  try {
    if (flags?.[DIED]) throw new Error('its worker died')
    signal.throwIfAborted()
    await run(payload, { id, attempt, signal, log, transaction })
  } catch (error) {
    if (signal.aborted) return interrupted(error)
    return isTakenOver ? takenOver() : fail(error)
  } finally {
    isRunning = false
  }
  // A handler may have caught it. Without its writes the job is not done.
  if (isTakenOver) return takenOver()
  return complete()

  async function transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (!isRunning) throw new Error(`The handler of ${job.name} has ended; it can write nothing more`)
    return database.$transaction(async (tx) => {
      await fence(tx)
      return await work(tx)
    })
  }

  async function fence(tx: Tx): Promise<void> {
    const held = await tx.$queryRawUnsafe<unknown[]>(holdClaim, ...claim)
    isTakenOver = held.length === 0
    if (isTakenOver) throw new JobTakenOver(id)
  }

  // graphile-worker deletes a job by its id alone, also when somebody else runs it. What is gone already it leaves alone.
  async function complete(): Promise<'done' | 'interrupted'> {
    try {
      const { rowCount } = await withPgClient((client) => client.query(completeClaim, [...claim]))
      if (rowCount === 0) return takenOver()
    } catch (error) {
      onUnreported(error)
      return interrupted(error)
    }
    log.info({ ms: Math.round(performance.now() - begunAt) }, 'job done')
    return 'done'
  }

  async function fail(error: unknown): Promise<'interrupted'> {
    const isLast = error instanceof PayloadInvalid || attempt >= max_attempts
    if (isLast) {
      const { message } = error instanceof Error ? error : new Error(String(error))
      try {
        await giveUpWith(message).catch(async (problem: unknown) => {
          log.error({ err: problem }, 'what follows from giving the job up could not be done')
          await withPgClient((client) => client.query(giveUpClaim, [...claim, message]))
        })
      } catch (problem) {
        onUnreported(problem)
        return interrupted(problem)
      }
    }
    log.error({ err: error }, isLast ? 'job failed for good' : 'job failed, and will be tried again')
    throw error
  }

  /** That nobody will try the job again, and what follows from it, come true together. */
  async function giveUpWith(message: string): Promise<void> {
    await database.$transaction(async (tx) => {
      await fence(tx)
      await giveUp?.(payload, tx)
      await tx.$queryRawUnsafe(giveUpClaim, ...claim, message)
    })
  }

  function interrupted(error: unknown): 'interrupted' {
    log.warn({ err: error }, 'job interrupted; another worker may begin it at once')
    return 'interrupted'
  }

  function takenOver(): never {
    log.warn({}, 'job taken over by another worker')
    throw new JobTakenOver(id)
  }
}

const ours = 'id = $1::text::bigint AND locked_by = $2::text AND attempts = $3::int'

// Until the transaction ends, nobody can give the job to another worker. Several of one job may run side by side.
const holdClaim = `SELECT 1 AS held FROM _private_jobs WHERE ${ours} FOR SHARE`

const freeQueue = `
    UPDATE _private_job_queues AS queues SET locked_by = NULL, locked_at = NULL
    FROM job WHERE queues.id = job.job_queue_id AND queues.locked_by = $2`

const completeClaim = `
  WITH job AS (
    DELETE FROM _private_jobs WHERE ${ours} RETURNING job_queue_id
  ), queue AS (${freeQueue}
  )
  SELECT 1 AS done FROM job`

const giveUpClaim = `
  WITH job AS (
    UPDATE _private_jobs
    SET attempts = max_attempts, last_error = $4, locked_by = NULL, locked_at = NULL, updated_at = now()
    WHERE ${ours} RETURNING job_queue_id
  ), queue AS (${freeQueue}
  )
  SELECT 1 AS "givenUp" FROM job`
