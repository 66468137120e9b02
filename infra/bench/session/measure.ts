import autocannon from 'autocannon'
import type { RunningServer } from './run-server.ts'

/** What a request cost in one round. */
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

/** As many people as connections, or so many for each. Every one has a session of their own. */
export async function signIn({ url }: RunningServer, forEachConnection = 1): Promise<string[]> {
  const cookies: string[] = []
  while (cookies.length < CONNECTIONS * forEachConnection) {
    const signedIn = await fetch(`${url}/sign-in`, { method: 'POST' })
    const lines = signedIn.headers.getSetCookie().map((line) => line.split(';')[0])
    cookies.push(lines.join('; '))
  }
  return cookies
}

/** Drives one route of one or several processes of a service together. Every answer has to be the right one. */
export async function drive(
  servers: RunningServer[],
  route: Route,
  requests: number,
  cookies: string[] = [],
): Promise<Cost> {
  const usedBefore = await cpuUsOf(servers)
  const startedAt = performance.now()
  await Promise.all(
    servers.map((server, i) => {
      const own = cookies.filter((_, place) => place % servers.length === i)
      return driveOne(server, route, requests / servers.length, CONNECTIONS / servers.length, own)
    }),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  return { cpuUs: ((await cpuUsOf(servers)) - usedBefore) / requests, perSecond: requests / seconds }
}

async function driveOne(
  { name, url }: RunningServer,
  route: Route,
  amount: number,
  connections: number,
  cookies: string[],
): Promise<void> {
  let connected = 0
  const result = await autocannon({
    url,
    connections,
    amount,
    sampleInt: 20,
    requests: [routes[route]],
    setupClient(client) {
      const own = cookies.filter((_, place) => place % connections === connected)
      connected += 1
      if (own.length > 0) client.setRequests(own.map((cookie) => ({ ...routes[route], headers: { cookie } })))
    },
  })
  if (result['2xx'] !== amount) {
    throw new Error(`${name}, ${route}: ${result['2xx']} of ${amount} answers were 2xx`)
  }
}

async function cpuUsOf(servers: RunningServer[]): Promise<number> {
  const used = await Promise.all(servers.map((server) => server.readUsage()))
  return used.reduce((sum, { cpuUs }) => sum + cpuUs, 0)
}
