import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TaskList, WorkerEvents } from 'graphile-worker'
import { Pool } from 'pg'
import type { Job, RawQueries } from './define-job.ts'
import { holdLease, type Lease, type LeaseOptions } from './lease.ts'
import { findQueueSchema, JOBS } from './queue-tables.ts'
import { runJob, type HandledJob, type QueueLog, type TransactionSource } from './run-job.ts'

/**
 * How long Postgres may take to answer when the worker stops. The runner of graphile-worker may wait for ever when two reports
 * failed at once (graphile/worker#636); without this limit the worker would neither work nor stop.
 */
const REPORT_MS = 2_000

export interface WorkerOptions<Tx extends RawQueries> {
  /** What `transaction` of the handlers begins its transactions on. */
  database: TransactionSource<Tx>
  jobs: HandledJob<Tx>[]
  /** How many jobs this process runs at once. Default 5. */
  concurrency?: number
  /** How long a job of a killed worker waits for another. Default 15 000. */
  leaseMs?: number
  log: QueueLog
}

interface WorkOptions<Tx extends RawQueries>
  extends WorkerOptions<Tx>, Pick<LeaseOptions, 'upkeep' | 'unreturned'> {
  stopping: AbortSignal
  deadline: AbortSignal
  onBegun(countWaiting: () => Promise<number>): void
  /** Called at once; `work` rejects later, when the running jobs have ended. */
  onTrouble(error: unknown): void
}

/** One life of a worker. Resolves when it was told to stop; rejects when it cannot go on, and `runJobs` must begin another one. */
export async function work<Tx extends RawQueries>(url: string, options: WorkOptions<Tx>): Promise<void> {
  const { concurrency = 5, leaseMs = 15_000, log, upkeep, unreturned, stopping } = options
  const { Logger, run } = await import('graphile-worker')
  await using resources = new AsyncDisposableStack()
  const pool = openPool(url, concurrency)
  resources.defer(() => pool.end())
  const schema = await findQueueSchema(pool)

  const ended = Promise.withResolvers<void>()
  ended.promise.catch(() => {})
  const life = new AbortController()
  resources.defer(() => life.abort())
  stopping.addEventListener('abort', () => ended.resolve(), { signal: life.signal })

  // When the answer to "a job for me?" is lost, or the report that one is done, there may be a job in our name that nobody runs.
  // The end of this life gives it back.
  const events = new EventEmitter() as WorkerEvents
  events.on('worker:getJob:error', ({ error }) => ended.reject(error))
  events.on('pool:fatalError', ({ error }) => ended.reject(error))

  // What was interrupted waits for the lease to give it back. Only then is graphile-worker told that it failed, which changes
  // nothing any more.
  const givenBack = Promise.withResolvers<never>()
  givenBack.promise.catch(() => {})
  let finished: Promise<void> | undefined
  resources.defer(async () => {
    givenBack.reject(new Error('The job was given back'))
    await inTime(finished)
  })

  // The runner asks this before its first job: no job is taken before there is a lease to hold it.
  let lease: Promise<Lease> | undefined
  const begun = Promise.withResolvers<Lease>()
  const takeLease = async (workerId: string): Promise<void> => {
    lease ??= holdLease(url, workerId, { leaseMs, log, upkeep, unreturned })
    lease.then(begun.resolve, begun.reject)
    await lease
  }
  resources.defer(async () => (await lease?.catch(() => undefined))?.[Symbol.asyncDispose]())

  const running = new Set<Promise<unknown>>()
  const claims = trackClaims(events)
  const runner = await run({
    pgPool: pool,
    events,
    noHandleSignals: true,
    logger: new Logger(() => (level, message, meta) => {
      // Of jobs we log ourselves.
      if (level === 'error' && !meta?.['failure']) log.warn({ graphile: meta?.['error'] }, message)
      else log.debug({}, message)
    }),
    taskList: toTasks(options, { lease: begun.promise, running, givenBack: givenBack.promise, ended }),
    parsedCronItems: [],
    preset: {
      // Unbatched, an answer that Postgres never got would be an unhandled rejection.
      worker: { schema, concurrentJobs: concurrency, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
      plugins: [
        {
          name: 'LeasePlugin',
          version: '1',
          worker: { hooks: { startWorker: (_, { worker }) => takeLease(worker.workerPool.id) } },
        },
      ],
    },
  })
  resources.defer(async () => {
    finished = runner
      .stop()
      .then(() => runner.promise)
      .catch(() => {})
    runner.promise.catch(() => {})
    await settle(running, claims)
  })
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

interface Life {
  lease: Promise<Lease>
  running: Set<Promise<unknown>>
  givenBack: Promise<never>
  ended: PromiseWithResolvers<void>
}

function toTasks<Tx extends RawQueries>(
  { jobs, database, stopping, deadline, log }: WorkOptions<Tx>,
  { lease, running, givenBack, ended }: Life,
): TaskList {
  // graphile-worker does not start without a task, but a worker may have lost its last job.
  if (jobs.length === 0) return { 'no job': () => {} }
  return Object.fromEntries(
    jobs.map((handled) => [
      handled.job.name,
      async (payload, helpers) => {
        const run = lease.then((held) => {
          // It was on its way when the worker was told to stop: another one may begin it at once.
          if (stopping.aborted) return 'interrupted'
          return runJob(handled, payload, helpers, {
            database,
            signal: AbortSignal.any([held.signal, deadline]),
            log,
            onUnreported: ended.reject,
          })
        })
        running.add(run)
        const outcome = await run.finally(() => running.delete(run))
        if (outcome === 'interrupted') await givenBack
      },
    ]),
  )
}

async function countWaiting(pool: Pool, jobs: readonly { job: Job }[]): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    // Of those that run one at a time, the first at most, and none while one runs: more workers would not help.
    `SELECT count(DISTINCT coalesce(queue_name, id::text))::int FROM ${JOBS}
     WHERE locked_at IS NULL AND run_at <= now() AND attempts < max_attempts AND task_identifier = ANY ($1)
       AND (queue_name IS NULL OR queue_name NOT IN (
         SELECT queue_name FROM ${JOBS} WHERE locked_at IS NOT NULL AND queue_name IS NOT NULL
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
  // The next query reports a broken connection; without listeners the process would end.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

/** The queries for a job that are under way: a stopped worker may still get a job by one of them. */
function trackClaims(events: WorkerEvents): ReadonlyMap<unknown, PromiseWithResolvers<void>> {
  const claims = new Map<unknown, PromiseWithResolvers<void>>()
  const settle = ({ worker }: { worker: unknown }): void => {
    claims.get(worker)?.resolve()
    claims.delete(worker)
  }
  events.on('worker:getJob:start', ({ worker }) => claims.set(worker, Promise.withResolvers()))
  events.on('worker:getJob:empty', settle)
  events.on('worker:getJob:error', settle)
  events.on('job:start', settle)
  return claims
}

/** Waits until no job of ours runs and none is on its way to us. Only then may they be given back. */
async function settle(
  running: ReadonlySet<Promise<unknown>>,
  claims: ReturnType<typeof trackClaims>,
): Promise<void> {
  do {
    await Promise.allSettled(running)
    await inTime(Promise.all(claims.values().map(({ promise }) => promise)))
  } while (running.size > 0)
}

async function inTime(work: Promise<unknown> | undefined): Promise<void> {
  const isDone = new AbortController()
  // Its timer keeps the process alive: at this moment nothing else may do so.
  const patience = sleep(REPORT_MS, undefined, { signal: isDone.signal }).catch(() => {})
  await Promise.race([work, patience])
  isDone.abort()
}
