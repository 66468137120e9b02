import { startMemcached } from '@repo/testing/servers/start-memcached'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { migrateSessions } from '../../../../packages/session/src/stores/postgres.ts'
import { medianOf } from '../figures.ts'
import { drive, signIn, type Cost, type Route } from './measure.ts'
import { playRounds, summarise, type Figures } from './rounds.ts'
import { runServer, type RunningServer } from './run-server.ts'
import { variants, type Variant } from './variants.ts'

export interface SpeedRow extends Record<Route, Figures> {
  name: string
}

const ROUTES: Route[] = ['read', 'write', 'anonymous']
const OURS = 'Nonstick, Redis'
const HAND_WRITTEN = 'hand-written cookie + GETEX'
const DEFAULTS = '@fastify/session defaults, ioredis'
const EXPRESS = 'Express 5, express-session, connect-redis'

/** The cost of a request with ours on each store, and with its peers. */
export async function measureSpeed(rounds: number, requests: number) {
  await using resources = new AsyncDisposableStack()
  const stores = {
    redis: resources.use((await startRedis())!).url,
    memcached: resources.use((await startMemcached())!).url,
    postgres: resources.use(await startPostgres()).url,
  }
  await migrateSessions(stores.postgres)
  const costs = new Map<string, Record<Route, Cost[]>>()
  const servers = new Map<Variant, RunningServer>()
  for (const variant of variants) {
    servers.set(variant, resources.use(await runServer(variant, stores)))
    costs.set(variant.name, { read: [], write: [], anonymous: [] })
  }

  await playRounds('speed', rounds, variants, async (variant, isCounted) => {
    const server = servers.get(variant)!
    const cookies = await signIn(server)
    for (const route of ROUTES) {
      const cost = await drive([server], route, requests, route === 'anonymous' ? [] : cookies)
      if (isCounted) costs.get(variant.name)![route].push(cost)
    }
  })

  const compared = costs.get(HAND_WRITTEN)!
  const rows = variants.map(({ name }): SpeedRow => {
    const of = (route: Route): Figures => summarise(costs.get(name)![route], compared[route])
    return { name, read: of('read'), write: of('write'), anonymous: of('anonymous') }
  })
  const timesTheReadsOf = (peer: string): number => {
    const peers = costs.get(peer)!.read
    return medianOf(costs.get(OURS)!.read.map(({ perSecond }, i) => perSecond / peers[i]!.perSecond))
  }
  const goals = {
    cpuOverHandWritten: rows.find(({ name }) => name === OURS)!.read.ratio.median,
    timesDefaults: timesTheReadsOf(DEFAULTS),
    timesExpress: timesTheReadsOf(EXPRESS),
  }
  return { rounds, requests, rows, goals }
}

type Speed = Awaited<ReturnType<typeof measureSpeed>>

export function tableOfSpeed({ rows, goals }: Speed): string[] {
  return [
    '| | read, CPU µs | over the hand-written route (spread) | reads/s | write, CPU µs | writes/s | no session, CPU µs | requests/s |',
    '|---|---|---|---|---|---|---|---|',
    ...rows.map(({ name, read, write, anonymous }) => {
      const ratio = `${read.ratio.median.toFixed(2)} (${read.ratio.min.toFixed(2)} to ${read.ratio.max.toFixed(2)})`
      const others = [write, anonymous].flatMap(({ cpuUs, perSecond }) => [cpuUs, perSecond])
      return `| ${[name, read.cpuUs, ratio, read.perSecond, ...others].join(' | ')} |`
    }),
    '',
    `A signed-in read of ours on Redis: ${goals.cpuOverHandWritten.toFixed(2)} times the CPU of the hand-written route, ` +
      `${goals.timesDefaults.toFixed(1)} times the requests per second of @fastify/session's defaults, ` +
      `${goals.timesExpress.toFixed(1)} times those of Express.`,
  ]
}
