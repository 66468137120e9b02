import createError from '@fastify/error'
import type { JobHelpers } from 'graphile-worker'
import type { Static, TObject } from 'typebox'
import { Value } from 'typebox/value'
import { checkPayload, PayloadInvalid, traceOf, type Job, type RawQueries, type Trace } from './define-job.ts'
import { DIED } from './queue-tables.ts'

/** A pino log, or any log of the same shape. */
export interface QueueLog {
  debug(values: object, message: string): void
  info(values: object, message: string): void
  warn(values: object, message: string): void
  error(values: object, message: string): void
  child(values: object): QueueLog
}

/** A Prisma client, or what begins transactions as one does. */
export interface TransactionSource<Tx extends RawQueries> {
  $transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}

export interface JobContext<Tx = RawQueries> {
  id: string
  /** 1 on the first try. */
  attempt: number
  /** The trace of the request that the job follows from. Undefined if it was enqueued without one, or by a schedule. */
  trace?: Trace
  /** Aborted when the process must stop, or another worker may get the job: then write nothing more, and throw. */
  signal: AbortSignal
  log: QueueLog
  /**
   * Begins a transaction, in which a handler must do all its writes. It is refused when the job belongs to another worker by now; a
   * process that was frozen cannot know that itself. While the transaction is open, no other worker can get the job.
   *
   * @throws QUEUE_JOB_TAKEN_OVER, or the reason of `signal` once that is aborted
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}

/** A job with its handler, made by `handle`. */
export interface HandledJob<Tx = RawQueries> {
  readonly job: Job
  run(payload: unknown, context: JobContext<Tx>): Promise<void>
  giveUp?(payload: unknown, tx: Tx): Promise<void>
}

/**
 * Gives a job its handler. The handler may run more than once, one run after the other: after a failure, and when a worker died
 * before it could report that the job was done. So running it twice must change nothing, and it must write with `transaction` only.
 *
 * @param options.giveUp runs in the transaction in which the job is given up: its last attempt has failed, or its worker died at it.
 *   Here an app tells its user that the work will not be done.
 */
export function handle<S extends TObject, Tx = RawQueries>(
  job: Job<S>,
  handler: (payload: Static<S>, context: JobContext<Tx>) => Promise<void>,
  { giveUp }: { giveUp?: (payload: Static<S>, tx: Tx) => Promise<unknown> } = {},
): HandledJob<Tx> {
  return {
    job,
    run: (payload, context) => handler(checkPayload(job, payload), context),
    async giveUp(payload, tx) {
      if (Value.Check(job.payload, payload)) await giveUp?.(payload, tx)
    },
  }
}

/** The job belongs to another worker by now. */
export const JobTakenOver = createError<[id: string]>(
  'QUEUE_JOB_TAKEN_OVER',
  'Job %s belongs to another worker by now: nothing is written',
  500,
)

export interface RunJobOptions<Tx extends RawQueries> {
  database: TransactionSource<Tx>
  /** Aborted when this worker must stop, or has lost its lease. */
  signal: AbortSignal
  log: QueueLog
  /** Called when Postgres could not be told how the job ended. */
  onUnreported(error: unknown): void
}

/**
 * Runs a job that this worker has claimed, once. Rejects when the job has failed, with the error that the queue keeps.
 *
 * @returns `interrupted` when the end is not the fault of the job: then its claim must be given back, and the attempt with it
 */
export async function runJob<Tx extends RawQueries>(
  { job, run, giveUp }: HandledJob<Tx>,
  payload: unknown,
  { job: { id, locked_by: workerId, attempts: attempt, max_attempts, flags }, withPgClient }: JobHelpers,
  { database, signal, log: workerLog, onUnreported }: RunJobOptions<Tx>,
): Promise<'done' | 'interrupted'> {
  const trace = traceOf(flags)
  const traced = trace && { trace_id: trace.traceparent.split('-')[1] }
  const log = workerLog.child({ job: job.name, jobId: id, attempt, ...traced })
  // No two claims have the same: each life of a worker has an id of its own, and what it gives back it never claims again.
  const claim = [id, workerId, attempt] as const
  const begunAt = performance.now()
  let isRunning = true
  let isTakenOver = false

  try {
    if (flags?.[DIED]) throw new Error('its worker died')
    signal.throwIfAborted()
    await run(payload, { id, attempt, ...(trace && { trace }), signal, log, transaction })
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

  /** In one transaction, the job is given up and its handler's `giveUp` runs. */
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
