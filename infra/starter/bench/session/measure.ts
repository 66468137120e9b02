import { load, type Question } from './load.ts'
import type { RunningServer } from './run-server.ts'

/** The mean cost of a request in one round: CPU time of the server, and throughput. */
export interface Cost {
  cpuUs: number
  perSecond: number
}

export type Route = keyof typeof routes

const routes = {
  read: { path: '/read', method: 'GET' },
  write: { path: '/write', method: 'POST' },
  anonymous: { path: '/public', method: 'GET' },
} as const

const CONNECTIONS = 32

/** Signs in `forEachConnection` users for each connection, each with a session of its own. Resolves to their cookies. */
export async function signIn({ url }: RunningServer, forEachConnection = 1): Promise<string[]> {
  const cookies: string[] = []
  while (cookies.length < CONNECTIONS * forEachConnection) {
    const signedIn = await fetch(`${url}/sign-in`, { method: 'POST' })
    const lines = signedIn.headers.getSetCookie().map((line) => line.split(';')[0])
    cookies.push(lines.join('; '))
  }
  return cookies
}

/** Sends requests to one route of all given processes at the same time, over CONNECTIONS connections to each. */
export async function drive(
  servers: RunningServer[],
  route: Route,
  requests: number,
  cookies: string[] = [],
): Promise<Cost> {
  const length = CONNECTIONS * servers.length
  const connections = Array.from({ length }, (_, place): Question[] => {
    const own = cookies.filter((_, i) => i % length === place)
    return (own.length > 0 ? own : [undefined]).map((cookie) => ({ ...routes[route], cookie }))
  })
  const usedBefore = await cpuUsOf(servers)
  const startedAt = performance.now()
  await Promise.all(
    servers.map(async ({ name, port }, i) => {
      const own = connections.filter((_, place) => place % servers.length === i)
      await load(port, own, requests / servers.length).catch((cause: unknown) => {
        throw new Error(`${name}, ${route}`, { cause })
      })
    }),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  return { cpuUs: ((await cpuUsOf(servers)) - usedBefore) / requests, perSecond: requests / seconds }
}

async function cpuUsOf(servers: RunningServer[]): Promise<number> {
  const used = await Promise.all(servers.map((server) => server.readUsage()))
  return used.reduce((sum, { cpuUs }) => sum + cpuUs, 0)
}
