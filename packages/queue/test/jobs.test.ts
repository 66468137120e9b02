import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil, startPostgres, type TestDatabase } from '@repo/testing'
import { Pool } from 'pg'
import { Type } from 'typebox'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  defineJob,
  enqueue,
  handle,
  listFailed,
  measureQueue,
  migrateQueue,
  retryFailed,
  runJobs,
  type HandledJob,
  type JobContext,
  type RawQueries,
  type RunJobsOptions,
} from '../src/index.ts'
import { jobLog } from './job-log.ts'
import { createQueueDatabase } from './queue-database.ts'
import { toDatabase, toQueries } from './to-database.ts'

const count = defineJob({
  name: 'test.count',
  payload: Type.Object({ n: Type.Integer() }),
  retry: { attempts: 3 },
})

let database: TestDatabase
let pool: Pool
let queries: RawQueries
let lines: string[]

beforeEach(async () => {
  database = await createQueueDatabase()
  pool = new Pool({ connectionString: database.url, max: 2 })
  pool.on('error', () => {})
  queries = toQueries(pool)
  lines = []
})
afterEach(async () => {
  await pool.end()
  await database[Symbol.asyncDispose]()
})

test('a job enqueued in a transaction begins when it commits, within 100 ms, and never when it does not', async () => {
  const begun: { n: number; at: number }[] = []
  await using jobs = await run([
    handle(count, async ({ n }) => void begun.push({ n, at: performance.now() })),
  ])

  const client = await pool.connect()
  const tx = toQueries(client)
  await client.query('BEGIN')
  await enqueue(tx, count, { n: 1 })
  await client.query('ROLLBACK')

  const latencies: number[] = []
  for (let n = 2; n < 12; n++) {
    await client.query('BEGIN')
    const { id } = await enqueue(tx, count, { n })
    expect(id).toMatch(/^\d+$/)
    await client.query('COMMIT')
    const committedAt = performance.now()
    await pollUntil(`job ${n} has begun`, () => begun.at(-1)?.n === n, { everyMs: 1 })
    latencies.push(begun.at(-1)!.at - committedAt)
  }
  client.release()
  expect(begun.map(({ n }) => n)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  expect(latencies.sort((a, b) => a - b)[5]).toBeLessThan(100)
  await jobs.check()
})

test('jobs of one user run one at a time, those of others meanwhile, and what kept them apart is forgotten', async () => {
  const job = defineJob({ name: 'test.serial', payload: Type.Object({ user: Type.String() }) })
  const running: string[] = []
  const together: string[][] = []
  let done = 0
  const work = handle(job, async ({ user }) => {
    running.push(user)
    together.push([...running])
    await sleep(20)
    running.splice(running.indexOf(user), 1)
    done++
  })
  // Short leases, so that queues are looked through every 3 s, also while jobs are added to them.
  await using one = await run([work], { concurrency: 3, leaseMs: 300 })
  await using two = await run([work], { concurrency: 3, leaseMs: 300 })
  const users = Array.from({ length: 50 }, (_, n) => ['ada', 'ada', `user-${n % 7}`]).flat()
  for (const user of users) {
    await enqueue(queries, job, { user }, { oneAtATime: user })
    await sleep(15)
  }
  await pollUntil('all are done', () => done === users.length, { deadlineMs: 30_000 })
  for (const users of together) expect(new Set(users).size).toBe(users.length)
  expect(together.some((users) => users.length > 1)).toBe(true)
  await pollUntil(
    'their queues are forgotten',
    async () => (await pool.query('SELECT FROM _private_job_queues')).rowCount === 0,
    { deadlineMs: 20_000 },
  )
  await Promise.all([one.check(), two.check()])
}, 60_000)

test('jobs that wait for another of their user are no reason for more workers', async () => {
  const hold = Promise.withResolvers<void>()
  await using jobs = await run([handle(count, () => hold.promise)], { concurrency: 1 })
  for (const user of ['ada', 'ada', 'ada', 'grace', 'grace']) {
    await enqueue(queries, count, { n: 1 }, { oneAtATime: user })
  }
  await enqueue(queries, count, { n: 2 })
  await pollUntil('one is held', async () => (await measureQueue(queries)).running === 1)
  expect(await jobs.countWaiting()).toBe(2)
  hold.resolve()
})

test('a payload that the job does not take is refused at once, without its value', async () => {
  const wrong = enqueue(queries, count, { n: 'secret' } as never)
  await expect(wrong).rejects.toThrow(
    'The payload of job test.count is not what it takes: /n must be integer',
  )
  await expect(wrong).rejects.toMatchObject({ code: 'QUEUE_PAYLOAD_INVALID' })
  expect(await measureQueue(queries)).toEqual({ waiting: 0, running: 0, later: 0, failed: 0 })
})

test('a payload of an older release fails at once and for good, is kept, and keeps nobody from working', async () => {
  const older = defineJob({ name: 'test.count', payload: Type.Object({ number: Type.Integer() }) })
  const seen: number[] = []
  await enqueue(queries, older, { number: 1 })
  await using jobs = await run([handle(count, async ({ n }) => void seen.push(n))])
  await enqueue(queries, count, { n: 2 })
  await pollUntil('the other job is done', () => seen.includes(2))
  await pollUntil('the old one has failed', async () => (await measureQueue(queries)).failed === 1)

  expect(seen).toEqual([2])
  expect(await listFailed(queries)).toEqual([
    {
      id: expect.stringMatching(/^\d+$/),
      job: 'test.count',
      failedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      error: 'The payload of job test.count is not what it takes: it must have required properties n',
    },
  ])
  await jobs.check()
})

test('a job that fails is tried again later and later, then kept as failed until somebody has it tried again', async () => {
  const attempts: number[] = []
  let isMended = false
  const handled = handle(count, async (_, { attempt }) => {
    attempts.push(attempt)
    if (!isMended) throw new Error(`no luck ${attempt}`)
  })
  await using _ = await run([handled])
  const { id } = await enqueue(queries, count, { n: 1 })

  const delays: number[] = []
  for (const attempt of [1, 2, 3]) {
    await pollUntil(`attempt ${attempt} has failed`, async () => {
      const { rows } = await pool.query(
        'SELECT attempts, last_error, extract(epoch FROM run_at - updated_at)::float AS delay FROM jobs WHERE locked_at IS NULL',
      )
      if (rows[0]?.last_error !== `no luck ${attempt}`) return false
      return delays.push(rows[0].delay) > 0
    })
    // Instead of waiting for its time.
    await pool.query("UPDATE _private_jobs SET run_at = now() - interval '1 s'")
    await pool.query(`SELECT pg_notify('jobs:insert', '{"count":1}')`)
  }
  expect(delays[0]).toBeCloseTo(Math.E, 0)
  expect(delays[1]).toBeCloseTo(Math.E ** 2, 0)
  expect(await listFailed(queries)).toMatchObject([{ id, error: 'no luck 3' }])
  expect(lines.filter((line) => line.includes('failed for good'))).toHaveLength(1)

  isMended = true
  expect(await retryFailed(queries, '999999')).toBe(0)
  expect(await retryFailed(queries, id)).toBe(1)
  await pollUntil('it is done', async () => (await depth()) === 0, { deadlineMs: 1_000 })
  expect(attempts).toEqual([1, 2, 3, 1])
  expect(await retryFailed(queries)).toBe(0)
})

test('a job may be told to wait for its time', async () => {
  await enqueue(queries, count, { n: 1 }, { delayMs: 60_000 })
  expect(await measureQueue(queries)).toEqual({ waiting: 0, running: 0, later: 1, failed: 0 })
  const { rows } = await pool.query(
    'SELECT extract(epoch FROM run_at - created_at)::float AS delay FROM jobs',
  )
  expect(rows[0].delay).toBeCloseTo(60, 1)
})

test('jobs that this release does not know are left for another', async () => {
  const seen: number[] = []
  await enqueue(queries, defineJob({ name: 'test.newer', payload: Type.Object({}) }), {})
  await using _ = await run([handle(count, async ({ n }) => void seen.push(n))])
  await enqueue(queries, count, { n: 1 })
  await pollUntil('ours is done', () => seen.length === 1)
  await pollUntil('one is left', async () => (await measureQueue(queries)).running === 0)
  expect(await measureQueue(queries)).toEqual({ waiting: 1, running: 0, later: 0, failed: 0 })
})

test('no more jobs run at once than was said', async () => {
  let running = 0
  let most = 0
  const done: number[] = []
  const handled = handle(count, async ({ n }) => {
    most = Math.max(most, ++running)
    await sleep(50)
    running--
    done.push(n)
  })
  for (let n = 0; n < 20; n++) await enqueue(queries, count, { n })
  await using _ = await run([handled], { concurrency: 3 })
  await pollUntil('all are done', () => done.length === 20)
  expect(most).toBe(3)
})

test('to dispose of it takes no new job, waits for those that run, and aborts what takes too long', async () => {
  const events: string[] = []
  const handled = handle(count, async ({ n }, context) => {
    events.push(`begun ${n}`)
    await (n === 1 ? sleep(100) : untilAborted(context))
    events.push(`ended ${n}`)
  })
  const jobs = await run([handled], { abortAfterMs: 300 })
  await enqueue(queries, count, { n: 1 })
  await enqueue(queries, count, { n: 2 })
  await pollUntil('both run', () => events.length === 2)

  const disposed = jobs[Symbol.asyncDispose]()
  await enqueue(queries, count, { n: 3 })
  await disposed
  expect(events.slice(0, 2).sort()).toEqual(['begun 1', 'begun 2'])
  expect(events.slice(2)).toEqual(['ended 1'])
  // The aborted one waits for another worker as the last one does, and has lost no attempt; the finished one is gone.
  expect(await measureQueue(queries)).toEqual({ waiting: 2, running: 0, later: 0, failed: 0 })
  expect((await pool.query('SELECT attempts FROM jobs')).rows).toEqual([{ attempts: 0 }, { attempts: 0 }])
})

test('a worker that cannot report that jobs are done begins again, and gives them back', async () => {
  const attempts: number[] = []
  const finish = new Map<number, () => void>()
  const handled = handle(count, async ({ n }) => {
    attempts.push(n)
    if (attempts.length <= 2) await new Promise<void>((resolve) => finish.set(n, resolve))
  })
  await using jobs = await run([handled])
  await enqueue(queries, count, { n: 1 })
  await enqueue(queries, count, { n: 2 })
  await pollUntil('both run', () => finish.size === 2)

  // Each report waits for us, and its session ends before it was heard.
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM _private_jobs FOR UPDATE')
  for (const n of [1, 2]) {
    finish.get(n)!()
    await pollUntil(`the report of ${n} waits`, async () => (await pool.query(waiting)).rowCount === n)
  }
  await pool.query(`SELECT pg_terminate_backend(pid) FROM (${waiting}) AS waiting`)
  await client.query('ROLLBACK')
  client.release()

  await pollUntil('they are done', async () => (await depth()) === 0)
  expect(attempts.slice(2).sort()).toEqual([1, 2])
  await jobs.check()
})

test('a worker that fails to start closes what it had opened, however often it begins again', async () => {
  await pool.query('ALTER TABLE queue_workers RENAME TO queue_workers_of_a_newer_release')
  const seen: number[] = []
  const handled = handle(count, async ({ n }) => void seen.push(n))
  await using _ = await runJobs(database.url, {
    database: toDatabase(pool),
    jobs: [handled],
    log: jobLog((line) => lines.push(line)),
  })
  await pollUntil('it has failed thrice', () => {
    return lines.filter((line) => line.includes('it will begin again')).length >= 3
  })
  await pollUntil('at most one try is open', async () => (await connections()) <= 1, { deadlineMs: 2_000 })

  await pool.query('ALTER TABLE queue_workers_of_a_newer_release RENAME TO queue_workers')
  await enqueue(queries, count, { n: 1 })
  await pollUntil('it works', () => seen.length === 1)
  expect(await connections()).toBe(1)
})

test('what a handler writes after its job was given to another is refused, and the job is not done', async () => {
  const outcomes: unknown[] = []
  const handled = handle(count, async (_, { transaction }) => {
    await pool.query("UPDATE _private_jobs SET locked_by = 'another'")
    const write = transaction((tx) => tx.$queryRawUnsafe('CREATE TABLE written ()'))
    outcomes.push(await write.catch((error: unknown) => error))
  })
  await using _ = await run([handled])
  await enqueue(queries, count, { n: 1 })
  await pollUntil('it says so', () => lines.some((line) => line.includes('taken over by another worker')))
  expect(outcomes).toMatchObject([{ code: 'QUEUE_JOB_TAKEN_OVER' }])
  expect((await pool.query("SELECT to_regclass('written') AS written")).rows).toEqual([{ written: null }])
  expect((await pool.query('SELECT locked_by FROM jobs')).rows).toEqual([{ locked_by: 'another' }])
})

test('a job that another runs is not done because its first worker is', async () => {
  const handled = handle(count, async () => {
    await pool.query("UPDATE _private_jobs SET locked_by = 'another'")
  })
  await using _ = await run([handled])
  await enqueue(queries, count, { n: 1 })
  await pollUntil('it says so', () => lines.some((line) => line.includes('taken over by another worker')))
  expect(await measureQueue(queries)).toMatchObject({ running: 1 })
})

test('a handler that has ended can write nothing more', async () => {
  let late: JobContext['transaction'] | undefined
  const handled = handle(count, async (_, { transaction }) => void (late = transaction))
  await using _ = await run([handled])
  await enqueue(queries, count, { n: 1 })
  await pollUntil('it is done', async () => late !== undefined && (await depth()) === 0)
  await expect(late!(async () => {})).rejects.toThrow('The handler of test.count has ended')
})

test('a job is given up together with what follows from it, once, also when that fails', async () => {
  await pool.query('CREATE TABLE given_up (n int CHECK (n < 2))')
  const failing = defineJob({ ...count, payload: count.payload, retry: { attempts: 1 } })
  const handled = handle(
    failing,
    async () => {
      throw new Error('no luck')
    },
    { giveUp: ({ n }, tx) => tx.$queryRawUnsafe('INSERT INTO given_up VALUES ($1)', n) },
  )
  await using _ = await run([handled])
  await enqueue(queries, failing, { n: 1 })
  await enqueue(queries, failing, { n: 2 })
  await pollUntil('both have failed', async () => (await measureQueue(queries)).failed === 2)
  expect((await listFailed(queries)).map(({ error }) => error)).toEqual(['no luck', 'no luck'])
  expect((await pool.query('SELECT n FROM given_up')).rows).toEqual([{ n: 1 }])
  expect(lines.filter((line) => line.includes('what follows from giving the job up'))).toHaveLength(1)
})

test('a job of a named queue that is interrupted, and one that is given up, keep no other of it from running', async () => {
  await pool.query(
    `SELECT add_job('test.count', json_build_object('n', n), 'ada', max_attempts => 1)
     FROM generate_series(1, 2) AS n`,
  )
  const first = await run([handle(count, (_, context) => untilAborted(context))], { abortAfterMs: 0 })
  await pollUntil('the first runs', async () => (await measureQueue(queries)).running === 1)
  await first[Symbol.asyncDispose]()

  const seen: number[] = []
  const handled = handle(count, async ({ n }) => {
    seen.push(n)
    if (n === 1) throw new Error('no luck')
  })
  await using _ = await run([handled])
  await pollUntil('both have run', () => seen.length === 2)
  expect(seen.sort()).toEqual([1, 2])
})

test('a dead worker whose transaction still holds its job costs no other its lease', async () => {
  const seen: number[] = []
  await pool.query("INSERT INTO queue_workers VALUES ('dead')")
  await enqueue(queries, count, { n: 1 })
  await pool.query("UPDATE _private_jobs SET locked_by = 'dead', locked_at = now(), attempts = 1")
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query('SELECT FROM _private_jobs FOR SHARE')
  await using jobs = await run([handle(count, async ({ n }) => void seen.push(n))], { leaseMs: 300 })
  await enqueue(queries, count, { n: 2 })
  await pollUntil('others run', () => seen.length === 1)
  const until = performance.now() + 1_500
  await pollUntil('five leases have passed', () => performance.now() > until)
  await jobs.check()
  expect(lines.filter((line) => line.includes('lease'))).toEqual([])
  await client.query('ROLLBACK')
  client.release()
  await pollUntil('it is free', () => seen.length === 2)
  expect(seen).toEqual([2, 1])
  await pollUntil('the dead one is forgotten', async () => (await knownWorkers()) === 1)
})

test('a worker is forgotten when it has been gone for a lease', async () => {
  const first = await run([handle(count, async () => {})])
  await first[Symbol.asyncDispose]()
  expect(await knownWorkers()).toBe(1)
  await using _ = await run([handle(count, async () => {})], { leaseMs: 300 })
  expect(await knownWorkers()).toBe(2)
  await pollUntil('the first is forgotten', async () => (await knownWorkers()) === 1)
})

test('a worker that is started before Postgres waits, says so, and begins when it comes', async () => {
  await using server = await startPostgres()
  await migrateQueue(server.url, 'public')
  await server.stop()
  const seen: number[] = []
  const handled = handle(count, async ({ n }) => void seen.push(n))
  await using jobs = await runJobs(server.url, {
    database: toDatabase(pool),
    jobs: [handled],
    log: jobLog((line) => lines.push(line)),
  })
  await pollUntil('it has tried', () => lines.some((line) => line.includes('it will begin again')))
  await expect(jobs.check()).rejects.toThrow(/ECONNREFUSED/)
  await server.restart()
  await pollUntil('it has begun', async () => {
    await jobs.check()
    return true
  })
})

test('a job may take longer than the four hours after which graphile-worker would give it to another', async () => {
  await using _ = await run([handle(count, (_, context) => untilAborted(context))], {
    leaseMs: 300,
    abortAfterMs: 0,
  })
  await enqueue(queries, count, { n: 1 })
  await pollUntil('it runs', async () => (await measureQueue(queries)).running === 1)
  await pool.query("UPDATE _private_jobs SET locked_at = now() - interval '3 hours'")
  const isTouched = "SELECT FROM jobs WHERE locked_at > now() - interval '1 minute'"
  await pollUntil('its lock is young again', async () => (await pool.query(isTouched)).rowCount === 1)
})

test('a worker that slept so long that its jobs were freed notices, and aborts them', async () => {
  const reasons: unknown[] = []
  const handled = handle(count, async (_, context) => {
    await untilAborted(context).catch((reason: unknown) => reasons.push(reason))
  })
  await using _ = await run([handled])
  await enqueue(queries, count, { n: 1 })
  await pollUntil('it runs', async () => (await measureQueue(queries)).running === 1)
  // What the others do when a machine sleeps, and what Postgres does then.
  await pool.query('SELECT force_unlock_workers(array_agg(id)) FROM queue_workers')
  await pool.query('DELETE FROM queue_workers')
  await pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'queue lease%'",
  )
  // Its own runner may have taken the freed job once more meanwhile.
  await pollUntil('it is aborted', () => reasons.length > 0)
  expect(reasons[0]).toEqual(new Error('The lease on the job is lost: others were given its jobs'))
})

test('a worker counts the jobs that it could run, and not those of others', async () => {
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  await using jobs = await run([handle(count, () => held)], { concurrency: 1 })
  const other = defineJob({ name: 'other.count', payload: count.payload })

  expect(await jobs.countWaiting()).toBe(0)
  for (let n = 0; n < 4; n++) await enqueue(queries, count, { n })
  await enqueue(queries, other, { n: 0 })
  await pollUntil('one runs', async () => (await measureQueue(queries)).running === 1)
  expect(await jobs.countWaiting()).toBe(3)
  release()
  await pollUntil('all have run', async () => (await jobs.countWaiting()) === 0)
})

async function run(jobs: HandledJob[], options: Partial<RunJobsOptions> = {}) {
  const running = await runJobs(database.url, {
    database: toDatabase(pool),
    jobs,
    log: jobLog((line) => lines.push(line)),
    ...options,
  })
  await pollUntil('the worker has begun', async () => {
    await running.check()
    return true
  })
  return running
}

const waiting = `
  SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`

/** Those of leases, as Postgres counts them. */
async function connections(): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    `SELECT count(*)::int FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'queue lease%'`,
  )
  return rows[0]!.count
}

async function knownWorkers(): Promise<number | null> {
  return (await pool.query('SELECT FROM queue_workers')).rowCount
}

async function depth(): Promise<number> {
  const { waiting, running, later, failed } = await measureQueue(queries)
  return waiting + running + later + failed
}

async function untilAborted({ signal }: JobContext): Promise<never> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  throw signal.reason
}
