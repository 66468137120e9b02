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

/** Signs in once, then drives each route with that one cookie. Every answer has to be the right one. */
export async function measure(server: RunningServer, requests: number): Promise<Measurement[]> {
  const signedIn = await fetch(`${server.url}/sign-in`, { method: 'POST' })
  const cookie = signedIn.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
  return [
    await drive(server, 'read', requests, { path: '/read', method: 'GET', headers: { cookie } }),
    await drive(server, 'write', requests, { path: '/write', method: 'POST', headers: { cookie } }),
    await drive(server, 'anonymous', requests, { path: '/public', method: 'GET' }),
  ]
}

async function drive(
  server: RunningServer,
  route: Measurement['route'],
  amount: number,
  request: { path: string; method: 'GET' | 'POST'; headers?: Record<string, string> },
): Promise<Measurement> {
  const before = await server.readCpuUs()
  const startedAt = performance.now()
  const result = await autocannon({
    url: server.url,
    connections,
    amount,
    sampleInt: 20,
    requests: [request],
  })
  const seconds = (performance.now() - startedAt) / 1_000
  const cpuUs = ((await server.readCpuUs()) - before) / amount
  if (result['2xx'] !== amount) {
    throw new Error(`${server.variant.name}, ${route}: ${result['2xx']} of ${amount} answers were 2xx`)
  }
  return { name: server.variant.name, route, cpuUs, perSecond: amount / seconds }
}
