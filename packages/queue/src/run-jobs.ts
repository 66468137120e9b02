import { setTimeout as sleep } from 'node:timers/promises'
import type { Static, TObject } from 'typebox'
import { checkPayload, type Job } from './define-job.ts'
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

export interface JobContext {
  id: string
  /** 1 on the first try. */
  attempt: number
  /** Aborted when the process must end or others may be given the job: stop writing, then throw. */
  signal: AbortSignal
  log: QueueLog
}

/** A job and what it does, made by `handle`. */
export interface HandledJob {
  readonly job: Job
  run(payload: unknown, context: JobContext): Promise<void>
}

export interface RunJobsOptions {
  jobs: HandledJob[]
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
 * before it could say that it was done. So running it twice must change nothing.
 */
export function handle<S extends TObject>(
  job: Job<S>,
  handler: (payload: Static<S>, context: JobContext) => Promise<void>,
): HandledJob {
  return { job, run: (payload, context) => handler(checkPayload(job, payload), context) }
}

/**
 * Takes jobs and runs them until it is disposed of: then it takes no more, waits for those that run, and aborts them
 * when they take too long. Goes on by itself when Postgres was away, and begins when it comes.
 *
 * @throws when a schedule cannot be understood
 */
export async function runJobs(url: string, options: RunJobsOptions): Promise<RunningJobs> {
  const { log, schedules = [], abortAfterMs = 15_000 } = options
  const upkeep = await createScheduler(schedules)
  const stopping = new AbortController()
  const deadline = new AbortController()
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
