import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'pg'
import type { RawQueries, TransactionSource } from '../../../../packages/queue/src/index.ts'
import { toDatabase } from '../../../../packages/testing/src/to-database.ts'
import { startPostgres } from '../../../../packages/testing/src/start-postgres.ts'
import type { Engine, Enqueuer, Payload } from './engine.ts'
import { kill, now, openWorkerProcesses, type Told, type WorkerProcesses } from './worker-processes.ts'

export type Figures = Record<string, number | string>

export interface Bench extends AsyncDisposable {
  name: string
  database: TransactionSource<RawQueries>
  enqueuer: Enqueuer
  workers: WorkerProcesses
}

/** Opens a queue on a Postgres of its own, without workers. */
export async function openBench(name: string): Promise<Bench> {
  const { engine } = (await import(`./engines/${name}.ts`)) as { engine: Engine }
  await using resources = new AsyncDisposableStack()
  const postgres = resources.use(await startPostgres())
  await engine.install(postgres.url)
  const pool = new Pool({ connectionString: postgres.url })
  resources.defer(() => pool.end())
  await pool.query('CREATE TABLE made (number int PRIMARY KEY)')
  const enqueuer = await engine.openEnqueuer(postgres.url)
  resources.defer(() => enqueuer.close())
  const workers = resources.use(openWorkerProcesses(name, postgres.url))
  const held = resources.move()
  return {
    name,
    database: toDatabase(pool),
    enqueuer,
    workers,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

/** Enqueues jobs one at a time for an idle worker. The first 20 are not counted. */
export async function measureLatency(bench: Bench): Promise<Figures> {
  await bench.workers.start(1)
  const transactions: number[] = []
  const latencies: number[] = []
  for (let i = 0; i < 220; i++) {
    const begunAt = now()
    const number = nextNumber()
    const started = bench.workers.next((one) => one.event === 'start' && one.number === number)
    await enqueue(bench, { number })
    const committedAt = now()
    transactions.push(committedAt - begunAt)
    latencies.push((await started)!.at - committedAt)
    await sleep(20)
  }
  await bench.workers.killAll()
  return {
    'transaction with enqueue, ms': quantile(transactions, 0.5),
    'commit to start, ms': quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    max: quantile(latencies, 1),
  }
}

/** Jobs per second of a backlog: first with one worker process, then with two. */
export async function measureThroughput(
  { database, enqueuer, workers }: Bench,
  jobs: number,
): Promise<Figures> {
  const perSecond: number[] = []
  for (const processes of [1, 2]) {
    const before = lastNumber
    for (let i = 0; i < jobs; i += 100) {
      await database.$transaction(async (tx) => {
        for (let j = 0; j < 100; j++) await enqueuer.enqueue(tx, { number: nextNumber() })
      })
    }
    let ended = 0
    let firstAt = 0
    const last = workers.next(({ event, number, at }) => {
      if (number <= before) return false
      if (event === 'start') firstAt ||= at
      return event === 'end' && ++ended === jobs
    })
    await workers.start(processes)
    perSecond.push(Math.round((jobs / ((await last)!.at - firstAt)) * 1000))
    await workers.killAll()
  }
  return { 'jobs/s, 1 process': perSecond[0]!, 'jobs/s, 2 processes': perSecond[1]! }
}

/** How long after `kill -9` of its worker a job is started again. */
export async function measureKill(bench: Bench): Promise<Figures> {
  await bench.workers.start(2)
  const { number, worker } = await begin(bench, { takesMs: 60_000 })
  const again = bench.workers.next((one) => one.event === 'start' && one.number === number, 40_000)
  await kill(worker)
  const killedAt = now()
  const at = (await again)?.at
  return { 'kill -9 to next start, s': at ? Number(((at - killedAt) / 1000).toFixed(1)) : 'over 40' }
}

/** Whether a job is started a second time while its worker is alive but blocks its event loop for 20 s. */
export async function measureBusy(bench: Bench): Promise<Figures> {
  await bench.workers.start(2)
  const { number, worker } = await begin(bench, { takesMs: 20_000, blocks: true })
  const isTwin = (one: Told): boolean =>
    one.event === 'start' && one.number === number && one.worker !== worker
  const twin = await bench.workers.next(isTwin, 18_000)
  return { 'busy for 20 s: begun a second time': twin ? 'yes' : 'no' }
}

async function begin(bench: Bench, payload: Omit<Payload, 'number'>) {
  const number = nextNumber()
  const started = bench.workers.next((one) => one.event === 'start' && one.number === number)
  await enqueue(bench, { number, ...payload })
  return (await started)!
}

async function enqueue({ database, enqueuer }: Bench, payload: Payload): Promise<void> {
  await database.$transaction(async (tx) => {
    await tx.$queryRawUnsafe('INSERT INTO made VALUES ($1)', payload.number)
    await enqueuer.enqueue(tx, payload)
  })
}

let lastNumber = 0

function nextNumber(): number {
  return ++lastNumber
}

// Without the first 20, which warm up the code.
function quantile(values: number[], share: number): number {
  const sorted = values.slice(20).sort((a, b) => a - b)
  return Number(sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1))
}
