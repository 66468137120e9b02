import { setTimeout as sleep } from 'node:timers/promises'
import type { Runner, TaskList } from 'graphile-worker'
import { Pool } from 'pg'
import type { Static, TObject } from 'typebox'
import { checkPayload, PayloadInvalid, type Job } from './define-job.ts'
import { holdLease, type Lease } from './lease.ts'
import { createScheduler, type Schedule } from './schedule.ts'

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
  let problem: unknown = new Error('the worker has not begun yet')
  const ended = keepWorking()

  return {
    async check() {
      if (problem) throw problem
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

  function onBegun(): void {
    problem = undefined
    log.info({ jobs: options.jobs.map(({ job }) => job.name) }, 'waiting for jobs')
  }

  function onTrouble(error: unknown): void {
    if (problem === error) return
    problem = error
    log.error({ err: error }, 'the worker takes no jobs; it will begin again')
  }
}

interface Work extends RunJobsOptions {
  upkeep: Parameters<typeof holdLease>[2]['upkeep']
  stopping: AbortSignal
  deadline: AbortSignal
  onBegun(): void
  /** Told at once; the end may take longer, because it waits for running jobs. */
  onTrouble(error: unknown): void
}

/** One life of the worker: resolves when it was told to stop, rejects when it cannot go on. */
async function work(
  url: string,
  { concurrency = 5, leaseMs = 15_000, log, ...options }: Work,
): Promise<void> {
  const { Logger, run } = await import('graphile-worker')
  await using resources = new AsyncDisposableStack()
  const pool = openPool(url, concurrency)
  resources.defer(() => pool.end())
  const begun = Promise.withResolvers<Lease>()
  begun.promise.catch(() => {})

  // The runner asks this before its first job: no job is taken before there is a lease to hold it.
  const takeLease = async (workerId: string): Promise<void> => {
    try {
      begun.resolve(await (lease ??= holdLease(url, workerId, { leaseMs, log, upkeep: options.upkeep })))
    } catch (error) {
      begun.reject(error)
      throw error
    }
  }
  let lease: Promise<Lease> | undefined

  const runner = await run({
    pgPool: pool,
    noHandleSignals: true,
    logger: new Logger(() => (level, message, meta) => {
      // What it says of jobs, we say ourselves.
      if (level === 'error' && !meta?.['failure']) log.warn({ graphile: meta?.['error'] }, message)
      else log.debug({}, message)
    }),
    taskList: toTasks({ ...options, log }, begun.promise),
    parsedCronItems: [],
    preset: {
      // Unbatched, an answer that Postgres never got would be an unhandled rejection.
      worker: { concurrentJobs: concurrency, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
      plugins: [
        {
          name: 'LeasePlugin',
          version: '1',
          worker: { hooks: { startWorker: (_, { worker }) => takeLease(worker.workerPool.id) } },
        },
      ],
    },
  })
  resources.defer(async () => (await lease?.catch(() => undefined))?.[Symbol.asyncDispose]())
  resources.defer(() => stop(runner))

  const { signal: leaseLost } = await begun.promise
  options.onBegun()
  await Promise.race([runner.promise, aborted(options.stopping), aborted(leaseLost)])
  if (options.stopping.aborted) return
  const trouble: unknown = leaseLost.reason ?? new Error('the runner ended')
  options.onTrouble(trouble)
  throw trouble
}

function toTasks(
  { jobs, deadline, log }: Pick<Work, 'jobs' | 'deadline' | 'log'>,
  lease: Promise<Lease>,
): TaskList {
  const task = ({ job, run }: HandledJob): TaskList[string] =>
    async function runJob(payload, { job: { id, attempts, max_attempts }, withPgClient }) {
      const { signal } = await lease
      const jobLog = log.child({ job: job.name, jobId: id, attempt: attempts })
      const begunAt = performance.now()
      try {
        await run(payload, {
          id,
          attempt: attempts,
          signal: AbortSignal.any([signal, deadline]),
          log: jobLog,
        })
        jobLog.info({ ms: Math.round(performance.now() - begunAt) }, 'job done')
      } catch (error) {
        const isHopeless = error instanceof PayloadInvalid
        if (isHopeless) await withPgClient((client) => client.query(spendAttempts, [id]))
        const isLast = isHopeless || attempts >= max_attempts
        jobLog.error({ err: error }, isLast ? 'job failed for good' : 'job failed, and will be tried again')
        throw error
      }
    }
  return Object.fromEntries(jobs.map((handled) => [handled.job.name, task(handled)]))
}

const spendAttempts = 'UPDATE graphile_worker._private_jobs SET attempts = max_attempts WHERE id = $1'

function openPool(url: string, concurrency: number): Pool {
  const pool = new Pool({
    connectionString: url,
    // One more listens for new jobs.
    max: concurrency + 1,
    connectionTimeoutMillis: 5_000,
    query_timeout: 15_000,
    keepAlive: true,
  })
  // Whoever uses a connection that breaks is told; without listeners the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

async function stop(runner: Runner): Promise<void> {
  runner.promise.catch(() => {})
  await runner.stop().catch(() => {})
  await runner.promise.catch(() => {})
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted)
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
