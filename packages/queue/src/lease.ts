import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { DIED } from './queue-tables.ts'
import type { QueueLog } from './run-job.ts'

export interface Lease extends AsyncDisposable {
  /** Aborted when the lease is lost: other workers may get this worker's jobs soon. */
  readonly signal: AbortSignal
}

export interface LeaseOptions {
  leaseMs: number
  log: QueueLog
  /** Worker ids of earlier leases of this process whose jobs are not given back yet, because Postgres was away. */
  unreturned: Set<string>
  /** Called about once a second while the lease is held, with the Postgres session that holds it. */
  upkeep(session: Client): Promise<void>
}

/**
 * Keeps the jobs of a worker its own for as long as its process lives. The lease is an advisory lock, held by a Postgres session of
 * its own, so Postgres itself notices at once when the process dies. No clock is read: every worker looks about once a second at the
 * locks of all others, and counts its looks. Disposal releases the lease and gives back the jobs that the worker still holds.
 *
 * - A worker that has not reached Postgres for two thirds of `leaseMs` tells its jobs to stop.
 * - A worker whose lock was missing at every look for all of `leaseMs` has lost its jobs to the others.
 *
 * A process that was frozen or busy goes on counting where it was: its session held the lock all the time.
 */
export async function holdLease(url: string, workerId: string, options: LeaseOptions): Promise<Lease> {
  const { leaseMs, log, unreturned, upkeep } = options
  const pauseMs = Math.min(1_000, leaseMs / 10)
  const looksOfALease = Math.ceil(leaseMs / pauseMs)
  const lost = new AbortController()
  const stopping = new AbortController()
  const looksWithoutLock = new Map<string, number>()
  let looks = 0
  let pausesWithoutContact = 0
  await using opening = new AsyncDisposableStack()
  let session = await openSession(url, workerId, leaseMs)
  opening.defer(() => close(session))
  await register(session, workerId)
  for (const id of unreturned) await giveBack(id)
  opening.move()
  const kept = keep()
  const watch = setInterval(giveUpInTime, pauseMs)

  return { signal: lost.signal, [Symbol.asyncDispose]: releaseLease }

  async function keep(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await freeJobsOfTheDead()
        pausesWithoutContact = 0
        await upkeep(session)
        if (++looks % (looksOfALease * 10) === 0) {
          await session.query(touch, [workerId])
          // Later, when somebody holds on to the lock.
          await session.query(forgetIdleQueues).catch(() => {})
        }
      } catch (error) {
        log.warn({ err: error }, 'the lease on the jobs could not be renewed')
        await close(session)
        // Several sessions of one worker may hold its lock at once (it is a shared one), so it does not matter
        // whether Postgres has noticed the end of the last.
        await reopen().catch(() => {})
      }
      await sleep(pauseMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  async function reopen(): Promise<void> {
    session = await openSession(url, workerId, leaseMs)
    // A machine that slept may not know for how long: our clock stood still, and the others have freed our jobs.
    if (await register(session, workerId)) lose('others were given its jobs')
  }

  function giveUpInTime(): void {
    if (++pausesWithoutContact > (looksOfALease * 2) / 3) lose('the database was out of reach for too long')
  }

  function lose(why: string): void {
    lost.abort(new Error(`The lease on the job is lost: ${why}`))
  }

  async function freeJobsOfTheDead(): Promise<void> {
    const { rows } = await session.query<{ id: string }>(workersWithoutLock)
    const missing = new Set(rows.map(({ id }) => id))
    for (const id of looksWithoutLock.keys()) if (!missing.has(id)) looksWithoutLock.delete(id)
    for (const id of missing) {
      const times = (looksWithoutLock.get(id) ?? 0) + 1
      looksWithoutLock.set(id, times)
      if (times <= looksOfALease) continue
      const { freed, left } = await freeJobs(id, countsAsAttempt)
      if (left === 0) await session.query('DELETE FROM queue_workers WHERE id = $1', [id])
      if (freed > 0) log.warn({ worker: id, jobs: freed }, 'a worker is gone; its jobs are free again')
    }
  }

  async function freeJobs(id: string, change: string): Promise<Freed> {
    const { rows } = await session.query<Freed>(free(change), [id])
    await session.query(freeQueues, [id])
    await session.query(`SELECT pg_notify('jobs:insert', '{"count":100}')`)
    return rows[0]!
  }

  /** Call it only when no job of this worker runs any more. */
  async function giveBack(id: string): Promise<void> {
    unreturned.add(id)
    const { left } = await freeJobs(id, countsForNothing)
    if (left === 0) unreturned.delete(id)
  }

  async function releaseLease(): Promise<void> {
    stopping.abort()
    clearInterval(watch)
    await kept
    lose('the worker has ended')
    // After an orderly end it runs no job: what it holds was interrupted, or could not be reported. What cannot be said now,
    // the next lease of this process says; and what an answer that was lost still takes in its name, the others notice: they
    // forget a worker only when it has been gone for a lease.
    await giveBack(workerId).catch(() => {})
    await close(session)
  }
}

async function close(session: Client): Promise<void> {
  await session.end().catch(() => {})
}

async function openSession(url: string, workerId: string, leaseMs: number): Promise<Client> {
  const session = new Client({
    connectionString: url,
    connectionTimeoutMillis: leaseMs / 3,
    query_timeout: leaseMs / 3,
    application_name: `queue lease ${workerId}`,
  })
  // A broken session makes its next query fail; without a listener it would end the process.
  session.on('error', () => {})
  try {
    await session.connect()
    // A machine that vanishes closes no connection. Postgres sends keepalives, and ends the session after 11 s.
    await session.query(
      'SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3',
    )
    await session.query(`SELECT pg_advisory_lock_shared(hashtext('queue.workers'), hashtext($1))`, [workerId])
    return session
  } catch (error) {
    await close(session)
    throw error
  }
}

/** Whether the worker was not known, or not any more. */
async function register(session: Client, workerId: string): Promise<boolean> {
  const insert = 'INSERT INTO queue_workers VALUES ($1) ON CONFLICT DO NOTHING'
  return (await session.query(insert, [workerId])).rowCount === 1
}

interface Freed {
  freed: number
  left: number
}

// A job that somebody writes for at this moment is left for the next look. To wait for a frozen worker's transaction would
// cost us our own lease.
const free = (change: string): string => `
  WITH held AS (
    SELECT id FROM _private_jobs WHERE locked_by = $1 FOR UPDATE SKIP LOCKED
  ), freed AS (
    UPDATE _private_jobs AS jobs SET locked_by = NULL, locked_at = NULL, updated_at = now(), ${change}
    FROM held WHERE jobs.id = held.id RETURNING jobs.id
  ), counted AS (
    SELECT count(*)::int AS freed FROM freed
  )
  SELECT freed, (SELECT count(*)::int FROM _private_jobs WHERE locked_by = $1) - freed AS left FROM counted`

const countsForNothing = 'attempts = greatest(0, attempts - 1)'

// Nobody knows whether it was the job that ended its worker, so a death counts. At the last attempt another worker is given
// the job once more, to give it up.
const countsAsAttempt = `last_error = 'its worker died',
  attempts = CASE WHEN attempts >= max_attempts AND (flags ? '${DIED}') IS NOT TRUE THEN max_attempts - 1 ELSE attempts END,
  flags = CASE WHEN attempts >= max_attempts THEN coalesce(flags, '{}') || '{"${DIED}": true}' ELSE flags END`

const freeQueues = `
  UPDATE _private_job_queues AS queues SET locked_by = NULL, locked_at = NULL
  WHERE locked_by = $1 AND NOT EXISTS (
    SELECT FROM _private_jobs AS jobs WHERE jobs.job_queue_id = queues.id AND jobs.locked_by = $1
  )`

// graphile-worker itself takes a job for abandoned that has been locked for four hours, though its worker be alive.
const touch = `
  UPDATE _private_jobs SET locked_at = now() WHERE id IN (
    SELECT id FROM _private_jobs WHERE locked_by = $1 FOR UPDATE SKIP LOCKED
  )`

// To take a job, graphile-worker locks the row of every queue that is free, so those that are used up must go. A job that is
// just being added would never be taken without its queue: whoever adds one holds the lock, too (`enqueue`). In one simple
// query each statement sees what was committed before it.
const forgetIdleQueues = `
  SET LOCAL lock_timeout = 100;
  SELECT pg_advisory_xact_lock(hashtext('queue.queues'));
  DELETE FROM _private_job_queues AS queues WHERE locked_at IS NULL
    AND NOT EXISTS (SELECT FROM _private_jobs WHERE job_queue_id = queues.id)`

const workersWithoutLock = `
  SELECT id FROM queue_workers
  WHERE NOT EXISTS (
    SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE datname = current_database() AND locktype = 'advisory' AND granted
      AND classid = hashtext('queue.workers')::oid AND objid = hashtext(id)::oid AND objsubid = 2
  )`
