import { pollUntil, startPostgres, startProcess, type NodeProcess, type TestDatabase } from '@repo/testing'
import { Pool } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  enqueue,
  listFailed,
  measureQueue,
  migrateQueue,
  retryFailed,
  type RawQueries,
} from '../src/index.ts'
import { note, once, store, wait } from './processes/jobs.ts'
import { createQueueDatabase } from './queue-database.ts'
import { toQueries } from '@repo/testing/to-database'

const LEASE_MS = 1_500

let database: TestDatabase
let pool: Pool
let workers: NodeProcess[]

beforeEach(async () => {
  database = await createQueueDatabase()
  pool = await openRuns(database.url)
  workers = []
})
afterEach(async () => {
  for (const worker of workers) await worker.stop()
  await pool.end()
  await database[Symbol.asyncDispose]()
})

test('a job of a worker that is killed is begun by another one when the lease is over, and not before', async () => {
  await startWorker()
  await startWorker()
  await enqueue(queries(), wait, { ms: 10_000 })
  const [first] = await runs(1)
  kill(first!.pid)
  const killedAt = performance.now()
  const [, second] = await runs(2)
  const handedOnMs = performance.now() - killedAt
  expect(second).toMatchObject({ event: 'begun 2' })
  expect(second!.pid).not.toBe(first!.pid)
  expect(handedOnMs).toBeGreaterThan(LEASE_MS * 0.9)
  expect(handedOnMs).toBeLessThan(LEASE_MS * 3)
})

test('a job of the last worker is begun by the next one to come', async () => {
  await startWorker()
  await enqueue(queries(), wait, { ms: 10_000 })
  const [first] = await runs(1)
  kill(first!.pid)
  await startWorker()
  expect((await runs(2))[1]).toMatchObject({ event: 'begun 2' })
})

test('a job whose worker is killed at its last attempt is given up by another, kept as failed, and says why', async () => {
  await startWorker()
  await startWorker()
  const { id } = await enqueue(queries(), once, { ms: 10_000 })
  const [first] = await runs(1)
  await pool.query("UPDATE _private_jobs SET updated_at = now() - interval '1 day'")
  kill(first!.pid)
  await pollUntil('it has failed', async () => (await measureQueue(queries())).failed === 1)
  const [failed] = await listFailed(queries())
  expect(failed).toMatchObject({ id, job: 'test.once', error: 'its worker died' })
  expect(Date.now() - Date.parse(failed!.failedAt)).toBeLessThan(60_000)
  expect((await runs(2)).slice(1)).toMatchObject([{ job: 'once', event: 'given up' }])

  expect(await retryFailed(queries(), id)).toBe(1)
  expect((await runs(3))[2]).toMatchObject({ event: 'begun 1' })
})

test('a worker that is frozen for longer than its lease keeps its job: nobody runs it a second time', async () => {
  await startWorker()
  await startWorker()
  await enqueue(queries(), wait, { ms: 200 })
  const [{ pid }] = (await runs(1)) as [Run]
  process.kill(pid, 'SIGSTOP')
  await seen(`${LEASE_MS * 2} ms of this worker’s lease`, LEASE_MS * 2)
  process.kill(pid, 'SIGCONT')
  expect(await runs(2)).toEqual([
    { job: 'wait', pid, event: 'begun 1' },
    { job: 'wait', pid, event: 'ended 1' },
  ])
})

test('a worker that is told to stop hands on what it cannot finish, and ends by itself', async () => {
  const worker = await startWorker()
  await startWorker()
  await enqueue(queries(), wait, { ms: 60_000 })
  const [{ pid }] = (await runs(1)) as [Run]
  const stopped = workers.find((candidate) => candidate.pid === pid)!
  stopped.kill('SIGTERM')
  expect(await stopped.exited).toEqual({ code: 0, signal: null })
  const later = await runs(3)
  expect(later[1]).toMatchObject({ pid, event: 'aborted 1' })
  // The same attempt: that its worker had to end is no failure of the job.
  expect(later[2]!.event).toBe('begun 1')
  expect(later[2]!.pid).not.toBe(pid)
  expect(worker.pid).toBeGreaterThan(0)
})

test('a job at its last attempt is not lost when its worker is told to stop', async () => {
  await startWorker()
  await startWorker()
  await enqueue(queries(), once, { ms: 60_000 })
  const [{ pid }] = (await runs(1)) as [Run]
  workers.find((worker) => worker.pid === pid)!.kill('SIGTERM')
  const toldAt = performance.now()
  expect((await runs(3)).map(({ event }) => event)).toEqual(['begun 1', 'aborted 1', 'begun 1'])
  expect(performance.now() - toldAt).toBeLessThan(LEASE_MS)
  expect(await listFailed(queries())).toEqual([])
})

test('a frozen worker whose job another was given writes nothing more when it thaws', async () => {
  await startWorker()
  await startWorker()
  await enqueue(queries(), store, { ms: 1_000 })
  const [{ pid: frozen }] = (await runs(1)) as [Run]
  process.kill(frozen, 'SIGSTOP')
  // Postgres takes it for gone, as it does when a network drops idle connections.
  await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity, _private_jobs AS jobs
    WHERE application_name = 'queue lease ' || jobs.locked_by`)
  const [, { pid }] = (await runs(2)) as [Run, Run]
  expect(pid).not.toBe(frozen)
  process.kill(frozen, 'SIGCONT')

  const worker = workers.find((candidate) => candidate.pid === frozen)!
  await pollUntil('it has noticed', () => /taken over|interrupted/.test(worker.output()))
  await runs(3)
  await pollUntil('the job is done', async () => (await measureQueue(queries())).running === 0)
  expect(await runs(3)).toEqual([
    { job: 'store', pid: frozen, event: 'begun 1' },
    { job: 'store', pid, event: 'begun 2' },
    { job: 'store', pid, event: 'stored 2' },
  ])
  expect(worker.output()).not.toContain('job done')
})

test('each tick of a schedule is one job, however many workers share it, and a missed one is made up for once', async () => {
  // Yesterday's ticks were missed: one of them counts.
  await pool.query("INSERT INTO queue_schedules VALUES ('test.note', now() - interval '26 hours')")
  const minute = await databaseMinute()
  await Promise.all([startWorker('* * * * *'), startWorker('* * * * *')])
  await runs(1)
  const ticked = async () => {
    const { rows } = await pool.query<{ last_tick: Date }>('SELECT last_tick FROM queue_schedules')
    return rows[0]!.last_tick
  }
  expect((await ticked()).getTime()).toBeGreaterThanOrEqual(minute)

  // Instead of waiting for the next minutes: each time, both see a tick that is due.
  for (let tick = 2; tick <= 5; tick++) {
    await pool.query("UPDATE queue_schedules SET last_tick = last_tick - interval '1 minute'")
    for (const worker of workers.splice(0)) await worker.stop()
    await Promise.all([startWorker('* * * * *'), startWorker('* * * * *')])
    await runs(tick)
  }
  await pollUntil('nothing is left to do', async () => (await measureQueue(queries())).waiting === 0)
  const minutes = Math.round(((await databaseMinute()) - minute) / 60_000)
  expect((await runs(5)).length).toBeLessThanOrEqual(5 + minutes)
}, 60_000)

test('a worker whose clock runs a day ahead ticks no earlier than the database', async () => {
  await startWorker('* * * * *', ['--import', new URL('processes/tomorrow.ts', import.meta.url).href])
  await pollUntil(
    'the schedule has begun',
    async () => (await pool.query('SELECT FROM queue_schedules')).rowCount === 1,
  )
  await enqueue(queries(), note, { text: 'hello' })
  await pollUntil('it works', async () => (await runs(1)).some(({ event }) => event === 'hello'))
  const { rows } = await pool.query<{ ahead: boolean }>(
    'SELECT last_tick > now() AS ahead FROM queue_schedules',
  )
  expect(rows).toEqual([{ ahead: false }])
})

test('after a restart of Postgres the workers go on, and no job is lost', async () => {
  await using server = await startPostgres()
  await migrateQueue(server.url, 'public')
  const ours = await openRuns(server.url)
  const [worker] = await Promise.all([
    startWorker(undefined, [], server.url),
    startWorker(undefined, [], server.url),
  ])
  for (let i = 0; i < 50; i++) await enqueue(queries(ours), note, { text: `before ${i}` })
  await ours.end()
  await server.restart()
  const again = await openRuns(server.url)
  for (let i = 0; i < 50; i++) await enqueue(queries(again), note, { text: `after ${i}` })
  const isDone = async () => {
    const { rows } = await again.query<{ done: number }>(
      'SELECT count(DISTINCT event)::int AS done FROM runs',
    )
    return rows[0]!.done === 100
  }
  await pollUntil('every job has run', isDone, { deadlineMs: 20_000 })
  expect(worker!.isRunning, worker!.output()).toBe(true)
  for (const worker of workers.splice(0)) await worker.stop()
  await again.end()
}, 60_000)

test('a worker that cannot reach Postgres aborts its jobs before others may have them', async () => {
  await using server = await startPostgres()
  await migrateQueue(server.url, 'public')
  const ours = await openRuns(server.url)
  const worker = await startWorker(undefined, [], server.url)
  await enqueue(queries(ours), wait, { ms: 60_000 })
  await pollUntil('the job has begun', async () => (await ours.query('SELECT FROM runs')).rowCount === 1)
  await server.freeze()
  await pollUntil('the lease is given up', () => worker.output().includes('The lease on the job is lost'), {
    deadlineMs: LEASE_MS * 3,
  })
  await server.thaw()
  await pollUntil(
    'it is begun again',
    async () => {
      const { rows } = await ours.query<Run>("SELECT event FROM runs WHERE event LIKE 'begun%'")
      return rows.map(({ event }) => event).join() === 'begun 1,begun 1'
    },
    { deadlineMs: 20_000 },
  )
  await worker.stop()
  workers.length = 0
  await ours.end()
}, 60_000)

interface Run {
  job: string
  pid: number
  event: string
}

async function startWorker(
  schedule?: string,
  nodeArgs: string[] = [],
  url = database.url,
): Promise<NodeProcess> {
  const worker = await startProcess({
    name: `worker ${workers.length + 1}`,
    cwd: import.meta.dirname,
    entry: 'processes/worker.ts',
    nodeArgs,
    env: { DATABASE_URL: url, LEASE_MS: String(LEASE_MS), SCHEDULE: schedule },
  })
  workers.push(worker)
  await pollUntil(`${worker.name} waits for jobs`, () => {
    if (!worker.isRunning) throw new Error(worker.output())
    return worker.output().includes('waiting for jobs')
  })
  return worker
}

function kill(pid: number): void {
  workers.find((worker) => worker.pid === pid)!.kill('SIGKILL')
}

/** All lines of the table, once there are at least so many. */
async function runs(atLeast: number): Promise<Run[]> {
  let rows: Run[] = []
  await pollUntil(`${atLeast} lines are written`, async () => {
    ;({ rows } = await pool.query<Run>('SELECT job, pid, event FROM runs ORDER BY id'))
    return rows.length >= atLeast
  })
  return rows
}

/** Time that is the very matter of a test: how long the others watched and did nothing. */
async function seen(claim: string, ms: number): Promise<void> {
  const until = performance.now() + ms
  await pollUntil(claim, () => performance.now() > until, { deadlineMs: ms * 2 })
}

async function databaseMinute(): Promise<number> {
  const { rows } = await pool.query<{ minute: Date }>("SELECT date_trunc('minute', now()) AS minute")
  return rows[0]!.minute.getTime()
}

async function openRuns(url: string): Promise<Pool> {
  const pool = new Pool({ connectionString: url, max: 2 })
  pool.on('error', () => {})
  await pool.query(
    'CREATE TABLE IF NOT EXISTS runs (id serial PRIMARY KEY, job text, pid int, event text, at timestamptz DEFAULT now())',
  )
  return pool
}

function queries(source: Pool = pool): RawQueries {
  return toQueries(source)
}
