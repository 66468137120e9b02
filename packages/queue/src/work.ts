import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobHelpers, Runner, TaskList, WorkerEvents } from 'graphile-worker'
import { Pool } from 'pg'
import { PayloadInvalid } from './define-job.ts'
import { holdLease, type Lease, type LeaseOptions } from './lease.ts'
import type { HandledJob, QueueLog, RunJobsOptions } from './run-jobs.ts'

/** So long a runner that is told to stop may take, once no job runs, to tell Postgres how the last ones ended. */
const REPORT_MS = 2_000

export interface WorkOptions extends RunJobsOptions {
  upkeep: LeaseOptions['upkeep']
  stopping: AbortSignal
  deadline: AbortSignal
  onBegun(countWaiting: () => Promise<number>): void
  /** Told at once; to end may take longer, because running jobs are waited for. */
  onTrouble(error: unknown): void
}

/** One life of a worker: resolves when it was told to stop, rejects when it cannot go on and another must begin. */
export async function work(url: string, options: WorkOptions): Promise<void> {
  const { concurrency = 5, leaseMs = 15_000, log, upkeep, stopping } = options
  const { Logger, run } = await import('graphile-worker')
  await using resources = new AsyncDisposableStack()
  const pool = openPool(url, concurrency)
  resources.defer(() => pool.end())

  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => {})
  const life = new AbortController()
  resources.defer(() => life.abort())
  stopping.addEventListener('abort', () => ended.resolve(), { signal: life.signal })

  // When the answer to "a job for me?" is lost, or the word that one is done, there may be a job in our name that nobody
  // runs. To end the life gives it back.
  const events = new EventEmitter() as WorkerEvents
  events.on('worker:getJob:error', ({ error }) => ended.reject(error))
  events.on('pool:fatalError', ({ error }) => ended.reject(error))

  // The runner asks this before its first job: no job is taken before there is a lease to hold it.
  let lease: Promise<Lease> | undefined
  const begun = Promise.withResolvers<Lease>()
  const takeLease = async (workerId: string): Promise<void> => {
    lease ??= holdLease(url, workerId, { leaseMs, log, upkeep })
    lease.then(begun.resolve, begun.reject)
    await lease
  }

  const running = new Set<Promise<void>>()
  const runner = await run({
    pgPool: pool,
    events,
    noHandleSignals: true,
    logger: new Logger(() => (level, message, meta) => {
      // What it says of jobs, we say ourselves.
      if (level === 'error' && !meta?.['failure']) log.warn({ graphile: meta?.['error'] }, message)
      else log.debug({}, message)
    }),
    taskList: toTasks(options, begun.promise, running),
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
  resources.defer(() => stop(runner, running))
  runner.promise.then(() => ended.reject(new Error('the runner ended')), ended.reject)
  begun.promise.then(({ signal: lost }) => {
    lost.addEventListener('abort', () => ended.reject(lost.reason), { signal: life.signal })
    options.onBegun(() => countWaiting(pool, options.jobs))
  }, ended.reject)

  try {
    await ended.promise
  } catch (error) {
    options.onTrouble(error)
    throw error
  }
}

function toTasks(
  { jobs, deadline, log }: WorkOptions,
  lease: Promise<Lease>,
  running: Set<Promise<void>>,
): TaskList {
  return Object.fromEntries(
    jobs.map((handled) => [
      handled.job.name,
      async (payload, helpers) => {
        const { signal } = await lease
        signal.throwIfAborted()
        const run = runJob(handled, payload, helpers, AbortSignal.any([signal, deadline]), log)
        running.add(run)
        await run.finally(() => running.delete(run))
      },
    ]),
  )
}

async function runJob(
  { job, run }: HandledJob,
  payload: unknown,
  { job: { id, attempts: attempt, max_attempts }, withPgClient }: JobHelpers,
  signal: AbortSignal,
  workerLog: QueueLog,
): Promise<void> {
  const log = workerLog.child({ job: job.name, jobId: id, attempt })
  const begunAt = performance.now()
  try {
    await run(payload, { id, attempt, signal, log })
    log.info({ ms: Math.round(performance.now() - begunAt) }, 'job done')
  } catch (error) {
    const isLast = error instanceof PayloadInvalid || attempt >= max_attempts
    if (isLast) await withPgClient((client) => client.query(spendAttempts, [id]))
    log.error({ err: error }, isLast ? 'job failed for good' : 'job failed, and will be tried again')
    throw error
  }
}

const spendAttempts = `
  UPDATE graphile_worker._private_jobs SET attempts = max_attempts, updated_at = now() WHERE id = $1`

async function countWaiting(pool: Pool, jobs: HandledJob[]): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    // Of those that run one at a time, the first at most, and none while one runs: more workers would not help.
    `SELECT count(DISTINCT coalesce(queue_name, id::text))::int FROM graphile_worker.jobs
     WHERE locked_at IS NULL AND run_at <= now() AND attempts < max_attempts AND task_identifier = ANY ($1)
       AND (queue_name IS NULL OR queue_name NOT IN (
         SELECT queue_name FROM graphile_worker.jobs WHERE locked_at IS NOT NULL AND queue_name IS NOT NULL
       ))`,
    [jobs.map(({ job }) => job.name)],
  )
  return rows[0]!.count
}

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

/**
 * Waits until none of our jobs runs, which the runner does not always do: only then they are given back. It may also wait
 * for ever, when two reports failed at once (graphile/worker#636); without a limit this life would neither work nor end.
 */
async function stop(runner: Runner, running: ReadonlySet<Promise<void>>): Promise<void> {
  const stopped = runner
    .stop()
    .then(() => runner.promise)
    .catch(() => {})
  runner.promise.catch(() => {})
  do {
    await Promise.allSettled(running)
    await Promise.race([stopped, sleep(REPORT_MS, undefined, { ref: false })])
  } while (running.size > 0)
}
