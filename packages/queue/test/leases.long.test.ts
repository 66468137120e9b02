import { pollUntil, startPostgres } from '@repo/testing'
import { expect, test } from 'vitest'
import { enqueue, handle, measureQueue, migrateQueue, runJobs } from '../src/index.ts'
import { jobLog } from './job-log.ts'
import { count, database, depth, lines, pool, queries, run, untilAborted } from './one-queue.ts'
import { toDatabase } from '@repo/testing/to-database'

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

test('a worker that starts before Postgres waits, says so, and begins when Postgres is available', async () => {
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
