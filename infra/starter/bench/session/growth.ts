import { startMemcached } from '@repo/testing/servers/start-memcached'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { Client } from 'pg'
import { openSessionStore } from '../../../../packages/session/src/index.ts'
import { applyLines, buildRecord, nameOf } from '../../../../packages/session/src/record.ts'
import { keyOf } from '../../../../packages/session/src/session-cookie.ts'
import { migrateSessions } from '../../../../packages/session/src/stores/postgres.ts'
import { drive, signIn, type Cost } from './measure.ts'
import { playRounds, summarise, type Figures } from './rounds.ts'
import { runServer, type RunningServer } from './run-server.ts'
import { tenValues } from './ten-values.ts'
import { ours } from './variants.ts'

interface GrowthRow {
  store: string
  sessions: number
  processes: number
  read: Figures
  write: Figures
  /** Memory of the largest process at the end. */
  memoryMb: number
}

interface Setting {
  store: keyof typeof ours
  sessions: number
  servers: RunningServer[]
  cookies: string[]
  costs: { read: Cost[]; write: Cost[] }
}

const FEW = 1_000
const MANY = 1_000_000
const PROCESSES = [1, 2, 4, 8]
const IDLE_MS = 30 * 60_000

const start = {
  redis: async () => (await startRedis({ args: ['--appendonly', 'no'] }))!,
  memcached: async () => (await startMemcached({ args: ['-m', '4096'] }))!,
  postgres: async () => startPostgres(),
}

/** The cost of a request with 1,000 and with 1,000,000 sessions in each store, and with one to eight processes. */
export async function measureGrowth(rounds: number, requests: number) {
  await using resources = new AsyncDisposableStack()
  const settings: Setting[] = []
  const filledInSeconds: Record<string, number> = {}

  for (const store of Object.keys(ours) as (keyof typeof ours)[]) {
    for (const sessions of [FEW, MANY]) {
      const { url } = resources.use(await start[store]())
      const startedAt = performance.now()
      await fill(store, url, sessions)
      if (sessions === MANY) filledInSeconds[store] = (performance.now() - startedAt) / 1_000
      const crowds = store === 'redis' && sessions === FEW ? PROCESSES : [1]
      const most: RunningServer[] = []
      while (most.length < crowds.at(-1)!) {
        most.push(resources.use(await runServer(ours[store], { [store]: url })))
      }
      // More users than connections; their sessions are spread among all those in the store.
      const cookies = await signIn(most[0]!, 20)
      for (const crowd of crowds) {
        const servers = most.slice(0, crowd)
        settings.push({ store, sessions, servers, cookies, costs: { read: [], write: [] } })
      }
    }
  }

  // Code gets faster the longer it runs, so every process is warmed up before any two are compared.
  for (const { servers, cookies } of settings) {
    for (const server of servers) {
      for (const route of ['read', 'write'] as const) await drive([server], route, 2 * requests, cookies)
    }
  }
  await playRounds('growth', rounds, settings, async ({ servers, cookies, costs }, isCounted) => {
    for (const route of ['read', 'write'] as const) {
      // The same number for each process, so that the cost of compiling the code has the same share.
      const cost = await drive(servers, route, requests * servers.length, cookies)
      if (isCounted) costs[route].push(cost)
    }
  })

  const rows: GrowthRow[] = []
  for (const { store, sessions, servers, costs } of settings) {
    const few = settings.find((one) => one.store === store)!.costs
    const used = await Promise.all(servers.map((server) => server.readUsage()))
    rows.push({
      store: ours[store].name,
      sessions,
      processes: servers.length,
      read: summarise(costs.read, few.read),
      write: summarise(costs.write, few.write),
      memoryMb: Math.round(Math.max(...used.map(({ memoryBytes }) => memoryBytes)) / 1e6),
    })
  }
  return { rounds, requests, filledInSeconds, rows }
}

/** Creates sessions of as many users, each with its entry on the user's list. */
async function fill(store: keyof typeof ours, url: string, sessions: number): Promise<void> {
  const lines = Object.entries(tenValues).map(([key, value]) => [nameOf(key), JSON.stringify(value)] as const)
  const head = { createdAt: Date.now(), user: { id: 'ada' }, userAgent: 'Mozilla/5.0' }
  const record = applyLines(buildRecord(head), lines)
  if (store === 'postgres') await migrateSessions(url)
  await using opened = await openSessionStore(url, { deadlineMs: 60_000 })
  await opened.check()
  if (store === 'postgres') return fillAtOnce(url, record, sessions)

  let next = 0
  async function create(): Promise<void> {
    while (next < sessions) {
      const [id, user] = [keyOf(`session ${next}`), keyOf(`person ${next}`)]
      next += 1
      await opened.create(id, record, IDLE_MS, { key: user, until: Date.now() + IDLE_MS })
    }
  }
  await Promise.all(Array.from({ length: 256 }, create))
}

/** One statement: a transaction for each row would take 20 minutes. */
async function fillAtOnce(url: string, record: string, sessions: number): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(
    `INSERT INTO sessions.session (key, owner, record, expires_at)
     SELECT ${hashOf(`'session ' || n`)}, ${hashOf(`'person ' || n`)}, $1, now() + $2::float8 * interval '1 ms'
     FROM generate_series(1, $3::int) AS n`,
    [record, IDLE_MS, sessions],
  )
  await client.query('VACUUM ANALYZE sessions.session')
  await client.end()
}

function hashOf(text: string): string {
  return `translate(encode(sha256((${text})::bytea), 'base64'), '+/=', '-_')`
}

type Growth = Awaited<ReturnType<typeof measureGrowth>>

export function tableOfGrowth({ rows, filledInSeconds }: Growth): string[] {
  const filled = Object.entries(filledInSeconds).map(([store, seconds]) => `${store} ${seconds.toFixed(0)} s`)
  return [
    '| | sessions | processes | read, CPU µs | over the first | reads/s | write, CPU µs | over the first | writes/s | memory, MB |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map(({ store, sessions, processes, read, write, memoryMb }) => {
      const costs = [read, write].flatMap((one) => [one.cpuUs, one.ratio.median.toFixed(2), one.perSecond])
      return `| ${[store, sessions.toLocaleString('en'), processes, ...costs, memoryMb].join(' | ')} |`
    }),
    '',
    `To fill a store with a million sessions took: ${filled.join(', ')}.`,
  ]
}
