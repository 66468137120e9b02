import { setTimeout as sleep } from 'node:timers/promises'
import type { Static, TObject } from 'typebox'
import { Value } from 'typebox/value'
import { checkPayload, type Job } from './define-job.ts'
import type { RawQueries } from './enqueue.ts'
import { createScheduler, type Schedule } from './schedule.ts'
import { work } from './work.ts'

/** The log of pino, or of anything shaped like it. */
export interface QueueLog {
  debug(values: object, message: string): void
  info(values: object, message: string): void
  warn(values: object, message: string): void
  error(values: object, message: string): void
  child(values: object): QueueLog
}

/** What handlers write to: a Prisma client, or what begins transactions as one does. */
export interface TransactionSource<Tx extends RawQueries> {
  $transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}

export interface JobContext<Tx = RawQueries> {
  id: string
  /** 1 on the first try. */
  attempt: number
  /** Aborted when the process must end or others may be given the job: stop writing, then throw. */
  signal: AbortSignal
  log: QueueLog
  /**
   * How a handler writes. The transaction is refused when the job belongs to another worker by now, which this process cannot
   * know when it was frozen; and while it is open, the job stays with this one.
   *
   * @throws QUEUE_JOB_TAKEN_OVER, and the reason of `signal` once that is aborted
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
}

/** A job and what it does, made by `handle`. */
export interface HandledJob<Tx = RawQueries> {
  readonly job: Job
  run(payload: unknown, context: JobContext<Tx>): Promise<void>
  giveUp?(payload: unknown, tx: Tx): Promise<void>
}

export interface RunJobsOptions<Tx extends RawQueries = RawQueries> {
  /** What `transaction` of the handlers begins its transactions on. */
  database: TransactionSource<Tx>
  jobs: HandledJob<Tx>[]
  schedules?: Schedule[]
  /** How many jobs this process runs at once. Default 5. */
  concurrency?: number
  /** How long a job of a killed worker waits for another. Default 15 000. */
  leaseMs?: number
  /** How long a stop waits for running jobs before it aborts them. Default 15 000. */
  abortAfterMs?: number
  log: QueueLog
}

export interface RunningJobs extends AsyncDisposable {
  /** Rejects while this process takes no jobs, and says why. */
  check(): Promise<void>
  /** How many jobs of its kinds could run now, and nobody runs them. Rejects while it takes no jobs. */
  countWaiting(): Promise<number>
}

/**
 * Says what a job does. It may be run more than once, one run after the other: after a failure, and when a worker died
 * before it could say that it was done. So running it twice must change nothing, and it writes with `transaction` alone.
 *
 * @param options.giveUp is run in the transaction in which the job is given up: its last attempt has failed, or its worker
 *   died at it. For what was promised to somebody, and will not happen now.
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

/**
 * Takes jobs and runs them until it is disposed of: then it takes no more, waits for those that run, and aborts them
 * when they take too long. Goes on by itself when Postgres was away, and begins when it comes.
 *
 * @throws when a schedule cannot be understood
 */
export async function runJobs<Tx extends RawQueries>(
  url: string,
  options: RunJobsOptions<Tx>,
): Promise<RunningJobs> {
  const { log, schedules = [], abortAfterMs = 15_000 } = options
  const upkeep = await createScheduler(schedules)
  const stopping = new AbortController()
  const deadline = new AbortController()
  const unreturned = new Set<string>()
  let count: (() => Promise<number>) | undefined
  let problem: unknown = new Error('the worker has not begun yet')
  const ended = keepWorking()

  return {
    async check() {
      if (problem) throw problem
    },
    async countWaiting() {
      if (problem || !count) throw problem
      return count()
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      const timer = setTimeout(
        () => deadline.abort(new Error('The worker must end, and the job with it')),
        abortAfterMs,
      )
      await ended
      clearTimeout(timer)
    },
  }

  async function keepWorking(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await work(url, {
          ...options,
          upkeep,
          unreturned,
          stopping: stopping.signal,
          deadline: deadline.signal,
          onBegun,
          onTrouble,
        })
      } catch (error) {
        onTrouble(error)
        await sleep(500 + Math.random() * 1_000, undefined, { signal: stopping.signal }).catch(() => {})
      }
    }
  }

  function onBegun(countWaiting: () => Promise<number>): void {
    problem = undefined
    count = countWaiting
    log.info({ jobs: options.jobs.map(({ job }) => job.name) }, 'waiting for jobs')
  }

  function onTrouble(error: unknown): void {
    if (problem === error) return
    problem = error
    log.error({ err: error }, 'the worker takes no jobs; it will begin again')
  }
}
