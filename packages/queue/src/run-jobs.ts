import { setTimeout as sleep } from 'node:timers/promises'
import type { RawQueries } from './define-job.ts'
import { createScheduler, type Schedule } from './schedule.ts'
import { work, type WorkerOptions } from './work.ts'

export interface RunJobsOptions<Tx extends RawQueries = RawQueries> extends WorkerOptions<Tx> {
  schedules?: Schedule[]
  /** How long a stop waits for running jobs before it aborts them. Default 15 000. */
  abortAfterMs?: number
}

export interface RunningJobs extends AsyncDisposable {
  /** Rejects with the reason while this process takes no jobs. */
  check(): Promise<void>
  /** How many of the jobs that it handles could run now, and no worker runs them. Rejects while it takes no jobs. */
  countWaiting(): Promise<number>
}

/**
 * Takes jobs and runs them until it is disposed of. Then it takes no more, waits for the jobs that run, and aborts them after
 * `abortAfterMs`. It starts without Postgres, too: it begins when Postgres answers, and again after each time that Postgres was away.
 *
 * @param url of Postgres itself, not of a pooler in transaction mode
 * @throws when a schedule cannot be parsed, or a job has two
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
