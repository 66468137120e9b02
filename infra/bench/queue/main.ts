import { type ChildProcess, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { cpus } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openDatabase } from '../../../packages/database/src/index.ts'
import { startPostgres } from '../../../packages/testing/src/start-postgres.ts'
import type { Engine, Payload } from './engine.ts'

const help = `node infra/bench/queue/main.ts [--jobs 5000] [--json]

graphile-worker beside pg-boss, each with real worker processes on a Postgres of its own: milliseconds from a commit to
the start of its job, jobs per second, and what becomes of a job whose worker is killed or stalls. Takes two minutes.
First: npx pnpm install --dir infra/bench/queue --ignore-workspace

  --jobs N    jobs of the throughput rounds (default 5000)
  --json      ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '5000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

interface Told {
  event: 'ready' | 'start' | 'end'
  number: number
  at: number
  worker: ChildProcess
}

const results: Record<string, Record<string, number | string>> = {}
for (const name of ['graphile-worker', 'pg-boss']) results[name] = await measure(name)

console.log(`${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}`)
console.table(results)
if (options.json) console.log(JSON.stringify(results))
process.exit()

async function kill(worker: ChildProcess): Promise<void> {
  worker.kill('SIGKILL')
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
}

// The first twenty warm the code up.
function quantile(values: number[], share: number): number {
  const sorted = values.slice(20).sort((a, b) => a - b)
  return Number(sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1))
}

async function measure(name: string): Promise<Record<string, number | string>> {
  await using postgres = await startPostgres()
  await using database = openDatabase(postgres.url)
  const { engine } = (await import(`./engines/${name}.ts`)) as { engine: Engine }
  await engine.install(postgres.url)
  const enqueuer = await engine.openEnqueuer(postgres.url)
  await database.$executeRawUnsafe('CREATE TABLE made (number int PRIMARY KEY)')
  const told = new EventEmitter<{ told: [Told] }>().setMaxListeners(0)
  const workers: ChildProcess[] = []
  let lastNumber = 0

  const startWorker = async (): Promise<void> => {
    const worker = fork(new URL('worker.ts', import.meta.url), [name, postgres.url], { stdio: 'inherit' })
    workers.push(worker)
    worker.on('message', (message: Omit<Told, 'worker'>) => told.emit('told', { ...message, worker }))
    await next(({ event }) => event === 'ready')
  }
  // Resolves on a message like the one that is described, or to undefined when it does not come in time.
  const next = (isIt: (message: Told) => boolean, withinMs = 120_000): Promise<Told | undefined> =>
    new Promise((resolve) => {
      const giveUp = AbortSignal.timeout(withinMs)
      const listen = (message: Told): void => {
        if (isIt(message)) finish(message)
      }
      const finish = (message?: Told): void => {
        told.off('told', listen)
        resolve(message)
      }
      told.on('told', listen)
      giveUp.addEventListener('abort', () => finish())
    })
  const enqueue = async (
    payload: Omit<Payload, 'number'> = {},
  ): Promise<{ number: number; committedAt: number }> => {
    const number = ++lastNumber
    await database.$transaction(async (tx) => {
      await tx.$executeRawUnsafe('INSERT INTO made VALUES ($1)', number)
      await enqueuer.enqueue(tx, { number, ...payload })
    })
    return { number, committedAt: performance.timeOrigin + performance.now() }
  }

  process.stderr.write(`${name}: latency\n`)
  await startWorker()
  const latencies: number[] = []
  const transactions: number[] = []
  for (let i = 0; i < 220; i++) {
    const begunAt = performance.now()
    const started = next(({ event, number }) => event === 'start' && number === lastNumber)
    const { committedAt } = await enqueue()
    transactions.push(performance.now() - begunAt)
    latencies.push((await started)!.at - committedAt)
    await setTimeout(20)
  }
  const perSecond: number[] = []
  for (const processes of [1, 2]) {
    process.stderr.write(`${name}: throughput with ${processes}\n`)
    await Promise.all(workers.splice(0).map(kill))
    const jobs = Number(options.jobs)
    for (let i = 0; i < jobs; i += 100) {
      await database.$transaction(async (tx) => {
        for (let j = 0; j < 100; j++) await enqueuer.enqueue(tx, { number: ++lastNumber })
      })
    }
    let ended = 0
    let firstAt = 0
    const done = next(({ event, at }) => {
      if (event === 'start') firstAt ||= at
      return event === 'end' && ++ended === jobs
    })
    await Promise.all(Array.from({ length: processes }, startWorker))
    perSecond.push(Math.round((jobs / ((await done)!.at - firstAt)) * 1000))
  }

  process.stderr.write(`${name}: kill -9\n`)
  const first = next(({ event, number }) => event === 'start' && number === lastNumber)
  await enqueue({ takesMs: 60_000 })
  const { number, worker } = (await first)!
  const killedAt = performance.timeOrigin + performance.now()
  const second = next((one) => one.event === 'start' && one.number === number, 40_000)
  await kill(worker)
  const again = await second

  process.stderr.write(`${name}: a stalled worker\n`)
  await Promise.all(workers.splice(0).map(kill))
  await Promise.all([startWorker(), startWorker()])
  const stalled = next(({ event, number }) => event === 'start' && number === lastNumber)
  await enqueue({ takesMs: 20_000, blocks: true })
  const { number: blocked, worker: blockedWorker } = (await stalled)!
  const twin = await next(
    (one) => one.event === 'start' && one.number === blocked && one.worker !== blockedWorker,
    19_000,
  )

  await Promise.all(workers.splice(0).map(kill))
  await enqueuer.close()
  return {
    'transaction with enqueue, ms p50': quantile(transactions, 0.5),
    'commit to start, ms p50': quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    max: quantile(latencies, 1),
    'jobs/s, 1 process': perSecond[0]!,
    'jobs/s, 2 processes': perSecond[1]!,
    'kill -9 to next start, s': again ? Number(((again.at - killedAt) / 1000).toFixed(1)) : 'not within 40',
    'runs twice at once when stalled 20 s': twin ? 'yes' : 'no',
  }
}
