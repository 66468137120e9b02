import autocannon from 'autocannon'
import type { RunningServer } from './run-server.ts'

/** What one route of one server cost in one round. */
export type Measurement = {
  name: string
  route: 'read' | 'write' | 'anonymous'
  cpuUs: number
  perSecond: number
  round?: number
}

const connections = 32

/** Signs in once for each connection, then drives each route. Every answer has to be the right one. */
export async function measure(server: RunningServer, requests: number): Promise<Measurement[]> {
  const cookies = await Promise.all(Array.from({ length: connections }, () => signIn(server)))
  return [
    await drive(server, 'read', requests, { path: '/read', method: 'GET' }, cookies),
    await drive(server, 'write', requests, { path: '/write', method: 'POST' }, cookies),
    await drive(server, 'anonymous', requests, { path: '/public', method: 'GET' }),
  ]
}

async function signIn({ url }: RunningServer): Promise<string> {
  const signedIn = await fetch(`${url}/sign-in`, { method: 'POST' })
  const cookies = signedIn.headers.getSetCookie().map((line) => line.split(';')[0])
  return cookies.join('; ')
}

async function drive(
  server: RunningServer,
  route: Measurement['route'],
  amount: number,
  request: { path: string; method: 'GET' | 'POST' },
  cookies: string[] = [],
): Promise<Measurement> {
  const before = await server.readCpuUs()
  const startedAt = performance.now()
  const waiting = [...cookies]
  const result = await autocannon({
    url: server.url,
    connections,
    amount,
    sampleInt: 20,
    requests: [request],
    setupClient(client) {
      const cookie = waiting.pop()
      if (cookie != null) client.setHeaders({ cookie })
    },
  })
  const seconds = (performance.now() - startedAt) / 1_000
  const cpuUs = ((await server.readCpuUs()) - before) / amount
  if (result['2xx'] !== amount) {
    throw new Error(`${server.variant.name}, ${route}: ${result['2xx']} of ${amount} answers were 2xx`)
  }
  return { name: server.variant.name, route, cpuUs, perSecond: amount / seconds }
}
