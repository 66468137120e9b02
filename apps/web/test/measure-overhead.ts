// Measures the cost of the edge: CPU time and latency of one small read, directly from a service and through the edge,
// without TLS. Run it with `node test/measure-overhead.ts`, on an idle machine.
import { join } from 'node:path'
import { startProcess, type NodeProcess } from '@repo/testing'
import { Agent, request } from 'undici'
import { ENV, openHouse } from './start-edge.ts'

const SECONDS = 5
const ROUNDS = 3
const CLIENTS = 16

await using house = await openHouse()
const service = await house.service('/api/measured', 2)
await using edge = await startProcess({
  name: 'web.1',
  cwd: join(import.meta.dirname, '..'),
  entry: 'src/server.ts',
  // Log lines cost the same both ways.
  env: {
    ...strings(ENV),
    PORT: undefined,
    LOG_LEVEL: 'silent',
    UPSTREAMS: service.upstream(),
    NODE_ENV: 'production',
    PUBLIC_ORIGIN: 'https://x',
  },
})
await edge.ready
const agent = new Agent({ connections: CLIENTS })

await run(edge.url, 1)
for (let round = 0; round < ROUNDS; round++) {
  const [direct] = service.processes as [NodeProcess]
  report('direct ', await measure(direct.url, [direct]))
  report('through', await measure(edge.url, [edge]))
}
await agent.close()

interface Measured {
  requests: number
  /** CPU time of the measured process. */
  cpuMicros: number
  medianMs: number
  p99Ms: number
}

async function measure(url: string, [process]: [NodeProcess]): Promise<Measured> {
  const before = await cpuSeconds(process)
  const times = await run(url, SECONDS)
  const spent = (await cpuSeconds(process)) - before
  times.sort((a, b) => a - b)
  return {
    requests: times.length,
    cpuMicros: (spent * 1e6) / times.length,
    medianMs: times[Math.floor(times.length / 2)]!,
    p99Ms: times[Math.floor(times.length * 0.99)]!,
  }
}

/** The duration of each request, in milliseconds. */
async function run(url: string, seconds: number): Promise<number[]> {
  const times: number[] = []
  const until = performance.now() + seconds * 1000
  async function client(): Promise<void> {
    while (performance.now() < until) {
      const began = performance.now()
      const { statusCode, body } = await request(`${url}/api/measured`, { dispatcher: agent })
      await body.text()
      if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`)
      times.push(performance.now() - began)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return times
}

async function cpuSeconds({ url }: NodeProcess): Promise<number> {
  const { body } = await request(`${url}/metrics`)
  return Number(/^process_cpu_seconds_total ([\d.e-]+)$/m.exec(await body.text())![1])
}

function strings(values: object): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, `${value}`]))
}

function report(way: string, { requests, cpuMicros, medianMs, p99Ms }: Measured): void {
  const perSecond = Math.round(requests / SECONDS)
  process.stdout.write(
    `${way}  ${perSecond} requests/s  ${cpuMicros.toFixed(0)} µs of processor time each  ` +
      `median ${medianMs.toFixed(2)} ms  p99 ${p99Ms.toFixed(2)} ms\n`,
  )
}
