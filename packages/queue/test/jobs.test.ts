import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import {
  defineJob,
  enqueue,
  handle,
  listFailed,
  measureQueue,
  retryFailed,
  type JobContext,
} from '../src/index.ts'
import { count, depth, lines, pool, queries, run, untilAborted } from './one-queue.ts'
import { toQueries } from '@repo/testing/to-database'

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

test('a worker without jobs waits, and leaves those of others', async () => {
  await using worker = await run([])
  await enqueue(queries, count, { n: 1 })
  await sleep(1_000)
  await worker.check()
  expect(await worker.countWaiting()).toBe(0)
  expect(await depth()).toBe(1)
  expect(lines.filter((line) => line.startsWith('error'))).toEqual([])
})

test('a job continues the trace of its request, also on its second try', async () => {
  const traces: unknown[] = []
  const work = handle(count, async (_payload, { attempt, trace }) => {
    traces.push(trace)
    if (attempt === 1 && trace) throw new Error('again')
  })
  await using worker = await run([work])
  const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
  await enqueue(queries, count, { n: 1 }, { trace })
  await pollUntil('it was tried twice', () => traces.length === 2)
  await enqueue(queries, count, { n: 2 })
  await pollUntil('the other one ran, too', () => traces.length === 3)
  expect(traces).toEqual([trace, trace, undefined])
  const traced = lines.filter((line) => line.includes(`"trace_id":"${'a'.repeat(32)}"`))
  expect(traced).toEqual([
    expect.stringMatching(/^error job failed, and will be tried again/),
    expect.stringMatching(/^info job done/),
  ])
  await worker.check()
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

test('no more jobs run at once than the limit', async () => {
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

test('dispose takes no new job, waits for running jobs, and aborts those that take too long', async () => {
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

test('a worker counts the jobs that it could run, and no others', async () => {
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
