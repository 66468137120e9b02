import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase, type Database } from '../../../packages/database/src/index.ts'
import { startPostgres } from '../../../packages/testing/src/start-postgres.ts'
import type { Engine, Enqueuer, Payload } from './engine.ts'
import { kill, now, openWorkerProcesses, type WorkerProcesses } from './worker-processes.ts'

interface Bench {
  database: Database
  enqueuer: Enqueuer
  workers: WorkerProcesses
  jobs: number
}

/** Everything that is measured of one queue, on a Postgres of its own. */
export async function measure(name: string, jobs: number): Promise<Record<string, number | string>> {
  const { engine } = (await import(`./engines/${name}.ts`)) as { engine: Engine }
  await using postgres = await startPostgres()
  await engine.install(postgres.url)
  await using database = openDatabase(postgres.url)
  await database.$executeRawUnsafe('CREATE TABLE made (number int PRIMARY KEY)')
  const enqueuer = await engine.openEnqueuer(postgres.url)
  await using workers = openWorkerProcesses(name, postgres.url)
  const bench = { database, enqueuer, workers, jobs }

  const results = {}
  for (const part of [measureLatency, measureThroughput, measureKill, measureStall]) {
    process.stderr.write(`${name}: ${part.name}\n`)
    Object.assign(results, await part(bench))
    await workers.killAll()
  }
  await enqueuer.close()
  return results
}

async function measureLatency(bench: Bench): Promise<object> {
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
  return {
    'transaction with enqueue, ms': quantile(transactions, 0.5),
    'commit to start, ms': quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    max: quantile(latencies, 1),
  }
}

async function measureThroughput({ database, enqueuer, workers, jobs }: Bench): Promise<object> {
  const perSecond: number[] = []
  for (const processes of [1, 2]) {
    await workers.killAll()
    for (let i = 0; i < jobs; i += 100) {
      await database.$transaction(async (tx) => {
        for (let j = 0; j < 100; j++) await enqueuer.enqueue(tx, { number: nextNumber() })
      })
    }
    let ended = 0
    let firstAt = 0
    const last = workers.next(({ event, at }) => {
      if (event === 'start') firstAt ||= at
      return event === 'end' && ++ended === jobs
    })
    await workers.start(processes)
    perSecond.push(Math.round((jobs / ((await last)!.at - firstAt)) * 1000))
  }
  return { 'jobs/s, 1 process': perSecond[0], 'jobs/s, 2 processes': perSecond[1] }
}

async function measureKill(bench: Bench): Promise<object> {
  await bench.workers.start(2)
  const { number, worker } = await begin(bench, { takesMs: 60_000 })
  const again = bench.workers.next((one) => one.event === 'start' && one.number === number, 40_000)
  await kill(worker)
  const killedAt = now()
  const at = (await again)?.at
  return { 'kill -9 to next start, s': at ? Number(((at - killedAt) / 1000).toFixed(1)) : 'over 40' }
}

async function measureStall(bench: Bench): Promise<object> {
  await bench.workers.start(2)
  const { number, worker } = await begin(bench, { takesMs: 20_000, blocks: true })
  const isTwin = await bench.workers.next(
    (one) => one.event === 'start' && one.number === number && one.worker !== worker,
    19_000,
  )
  return { 'busy for 20 s: begun a second time': isTwin ? 'yes' : 'no' }
}

async function begin(bench: Bench, payload: Omit<Payload, 'number'>) {
  const number = nextNumber()
  const started = bench.workers.next((one) => one.event === 'start' && one.number === number)
  await enqueue(bench, { number, ...payload })
  return (await started)!
}

async function enqueue({ database, enqueuer }: Bench, payload: Payload): Promise<void> {
  await database.$transaction(async (tx) => {
    await tx.$executeRawUnsafe('INSERT INTO made VALUES ($1)', payload.number)
    await enqueuer.enqueue(tx, payload)
  })
}

let lastNumber = 0
function nextNumber(): number {
  return ++lastNumber
}

// The first twenty warm the code up.
function quantile(values: number[], share: number): number {
  const sorted = values.slice(20).sort((a, b) => a - b)
  return Number(sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1))
}
