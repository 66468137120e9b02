import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { Agent, request } from 'undici'
import { startHaproxy } from '../../prove/deployment/haproxy.ts'
import type { Unpacked } from './open-images.ts'
import { runContainer, type Container } from './run-container.ts'

/** The configuration of the load balancer of Compose. */
const SHIPPED = join(import.meta.dirname, '../../deploy/compose/haproxy.cfg')
const PLACES = 2
const CONNECTIONS = 16

export interface RollingOptions {
  /** The path of the requests; `cookie` is their cookie. */
  path: string
  cookie?: string | undefined
  /** Whether the load balancer works on HTTP, like that of Compose, or on TCP connections. */
  layer: 'http' | 'tcp'
  memoryMiB: number
  /** The least number of requests. Default: 25,000. */
  requests?: number
}

export interface Restarted {
  requests: number
  restarts: number
  /** CPU milliseconds, without those of starts. */
  cpuMsPerRequest: number
  mostMiB: number
}

/**
 * Restarts two containers in turn behind a real HAProxy, under requests on keep-alive connections, until `requests` have
 * been sent and each container was restarted twice.
 *
 * @throws when a request fails or has another status than the first one, or a container does not exit with 0
 */
export async function rollingRestarts(
  image: Unpacked,
  environment: Record<string, string>,
  { path, cookie, layer, memoryMiB, requests = 25_000 }: RollingOptions,
): Promise<Restarted> {
  await using resources = new AsyncDisposableStack()
  const ports = await Promise.all(Array.from({ length: PLACES }, () => freePort()))
  let [restarts, cpuMs, mostMiB] = [0, 0, 0]
  const containers: Container[] = []
  resources.defer(async () => void (await Promise.all(containers.map((one) => one[Symbol.asyncDispose]()))))
  for (const n of ports.keys()) await start(n)
  const { url, knowsAll } = await startBalancer(resources, layer, ports)
  await knowsAll()

  const load = startLoad(url, path, cookie)
  resources.defer(async () => void (await load.stop()))
  while (load.sent < requests || restarts < 2 * PLACES) {
    const n = restarts++ % PLACES
    await noteUsage(containers[n]!)
    const { code } = await containers[n]!.stop()
    if (code !== 0) throw new Error(`a container ended with ${code}:\n${containers[n]!.output()}`)
    await start(n)
    // The other container may stop only when the load balancer knows this one.
    await knowsAll()
  }
  const { sent, failures } = await load.stop()
  for (const container of containers) await noteUsage(container)
  if (failures.length > 0) {
    const found = `${failures.length} failed of ${sent}, ${restarts} restarts`
    throw new Error(`${found}\n${[...new Set(failures)].join('\n')}`)
  }
  return { requests: sent, restarts, cpuMsPerRequest: cpuMs / sent, mostMiB }

  async function start(n: number): Promise<void> {
    containers[n] = await runContainer(image, environment, { port: ports[n]!, memoryMiB })
    await containers[n].readyAfterMs
    cpuMs -= (await containers[n].usage()).cpuMs
  }

  async function noteUsage(container: Container): Promise<void> {
    const usage = await container.usage()
    cpuMs += usage.cpuMs
    mostMiB = Math.max(mostMiB, usage.memoryMiB)
  }
}

async function startBalancer(
  resources: AsyncDisposableStack,
  layer: 'http' | 'tcp',
  ports: number[],
): Promise<{ url: string; knowsAll: () => Promise<void> }> {
  const [port, watchPort] = [await freePort(), await freePort()]
  const shipped = await readFile(SHIPPED, 'utf8')
  const configOf = layer === 'http' ? shippedConfig : tcpConfig
  const config = `${configOf(shipped, port, ports)}
listen watch
  mode http
  bind 127.0.0.1:${watchPort}
  http-request return status 200 if { nbsrv(edge) ge ${ports.length} }
  http-request return status 503
`
  resources.use(await startHaproxy(port, config))
  return {
    url: `http://127.0.0.1:${port}`,
    knowsAll: () =>
      pollUntil(
        'HAProxy knows that all are ready',
        async () => {
          const { statusCode, body } = await request(`http://127.0.0.1:${watchPort}`, { reset: true })
          await body.dump()
          return statusCode === 200
        },
        { deadlineMs: 30_000, everyMs: 100 },
      ),
  }
}

/** The shipped configuration with servers on these ports and without TLS. @throws when it has no line to replace */
export function shippedConfig(shipped: string, port: number, ports: number[]): string {
  const changes: [RegExp, string][] = [
    [/ *log stdout .*\n/, ''],
    [/^resolvers .*\n( .*\n)+/m, ''],
    [/ resolvers docker init-addr none/, ''],
    [/bind :8443 .*/, `bind 127.0.0.1:${port}`],
    [/ *server-template web .*/, serverLines(ports)],
  ]
  return changes.reduce((text, [from, to]) => {
    if (!from.test(text)) throw new Error(`infra/deploy/compose/haproxy.cfg has no ${from} any more`)
    return text.replace(from, to)
  }, shipped)
}

/** The probes of the shipped configuration, but no retries of failed connections, which are HAProxy's default. */
function tcpConfig(shipped: string, port: number, ports: number[]): string {
  const [checks] = /default-server check .*(?= resolvers)/.exec(shipped) ?? []
  if (!checks) throw new Error('infra/deploy/compose/haproxy.cfg has no default-server any more')
  return `defaults
  mode tcp
  retries 0
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout check 1s
frontend public
  bind 127.0.0.1:${port}
  default_backend edge
backend edge
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  ${checks}
${serverLines(ports)}
`
}

function serverLines(ports: number[]): string {
  return ports.map((port) => `  server place${port} 127.0.0.1:${port}`).join('\n')
}

/** Load on CONNECTIONS connections. Each sends its next request when the last is answered. Nothing is retried. */
function startLoad(origin: string, path: string, cookie?: string) {
  const headers = cookie ? { cookie } : {}
  const agent = new Agent({ connections: CONNECTIONS, pipelining: 1 })
  const failures: string[] = []
  let sent = 0
  let expected = 0
  let isStopped = false

  async function work(): Promise<void> {
    // oxlint-disable-next-line no-unmodified-loop-condition -- stop() changes it
    while (!isStopped) {
      sent++
      try {
        const { statusCode, body } = await agent.request({ origin, path, headers, method: 'GET' })
        expected ||= statusCode
        if (statusCode === expected && statusCode < 500) await body.dump()
        else failures.push(`${statusCode} ${/"code":"(\w+)"/.exec(await body.text())?.[1] ?? ''}`)
      } catch (error) {
        failures.push((error as Error).message)
      }
      // The tested processes share the two cores with us.
      if (sent % 8 === 0) await sleep(1)
    }
  }
  const workers = Array.from({ length: CONNECTIONS }, work)

  return {
    get sent() {
      return sent
    },
    async stop() {
      isStopped = true
      await Promise.all(workers)
      if (!agent.closed) await agent.close()
      return { sent, failures }
    },
  }
}
