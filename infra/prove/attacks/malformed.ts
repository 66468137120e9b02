import { connect, type Socket } from 'node:net'
import { atLeast, atMost, none, told, type Attack } from '../attack.ts'
import { measureMemory } from '../deployment/measure-memory.ts'
import { openDeployment, type Deployment } from '../deployment/open-deployment.ts'
import { eachOf } from '../load/each-of.ts'
import { kinds, type Route } from '../load/malformed-requests.ts'
import { sendRaw } from '../load/send-raw.ts'
import { failuresOf, standing, tellFailures, tellStatuses } from '../load/standing.ts'

/** Text that no client may see. */
const INTERNALS =
  /node_modules|\bat \S+ \(|\.ts:\d|prisma|postgres(ql)?:|redis|127\.0\.0\.1:\d|ECONN|\bE[A-Z]{5,}\b.*syscall/i

/** Documented by the services: they are overloaded, or a backing service is unavailable. */
const STATED = new Set([503])

const SLOW_SENDERS = 100
const MOST_GROWTH_MB = 100

/** Malformed requests to the load balancer, to the edge, and directly to the services. */
export const malformed: Attack = {
  name: 'malformed',
  does: 'broken HTTP and bodies, forged, huge and duplicate cookies, path tricks, slow senders, every route fuzzed',
  claim:
    'no crash; no 5xx other than 503; no answer shows internals; memory stays flat; other users are served meanwhile',
  needs: ['haproxy'],
  // A deployment of its own: so many failed sign-ins block the network, and all users on it, for 15 minutes.
  open: async (options, resources) => resources.use(await openDeployment(options)),
  async run({ deployment, startLoad, random, scale, note }) {
    const load = await startLoad({ rate: 20 })
    const routes = await listRoutes(deployment)
    const ports = [
      Number(new URL(deployment.url).port),
      ...deployment.inhabited().flatMap(({ type, port }) => (type.route ? [port] : [])),
    ]
    const slow = openSlowSenders(ports)

    const answers: { kind: string; status: number; bytes: string; text: string }[] = []
    async function send(count: number): Promise<void> {
      const names = Object.keys(kinds)
      const kindsInTurn = Array.from({ length: count }, (_, i) => names[i % names.length]!)
      await eachOf(kindsInTurn, 16, async (kind) => {
        const bytes = kinds[kind]!(random, routes)
        const { status, text } = await sendRaw(random.pick(ports)!, Buffer.from(bytes, 'latin1'))
        const isTelling = (status >= 500 && !STATED.has(status)) || INTERNALS.test(text)
        answers.push({
          kind,
          status,
          bytes: isTelling ? bytes.slice(0, 300) : '',
          text: isTelling ? text.slice(0, 1000) : '',
        })
      })
    }
    const count = scale(5000, 100_000)
    // Memory that a process takes while it warms up is not a leak.
    await send(count / 5)
    const before = await measureMemory(deployment.inhabited())
    await send((count * 4) / 5)
    const grown = (await measureMemory(deployment.inhabited())).map((bytes, i) => bytes - before[i]!)

    for (const socket of slow) socket.destroy()
    const results = await load.stop()
    const errors = answers.filter(({ status }) => status >= 500 && !STATED.has(status))
    const telling = answers.filter(({ text }) => INTERNALS.test(text))
    for (const { kind, status, bytes, text } of [...errors, ...telling].slice(0, 20)) {
      note(`${kind}: ${status} to ${JSON.stringify(bytes)}: ${text.split('\r\n\r\n')[1]}`)
    }
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests of others', failuresOf(results).length),
      atLeast('malformed requests', answers.length, count),
      told('routes fuzzed', routes.length),
      tellStatuses('answers', answers),
      none('answers 5xx other than 503', errors.length),
      none('answers with internals', telling.length),
      atMost('MB that the memory of a process grew', Math.round(Math.max(...grown) / 1e6), MOST_GROWTH_MB),
    ]
  },
}

async function listRoutes(deployment: Deployment): Promise<Route[]> {
  const routes: Route[] = [{ method: 'GET', path: '/' }]
  for (const type of deployment.formation.running) {
    const [place] = deployment.inhabited(type)
    if (!type.route || type.route === '/' || !place) continue
    const answer = await fetch(`http://127.0.0.1:${place.port}/openapi.json`)
    const { paths } = (await answer.json()) as { paths: Record<string, Record<string, unknown>> }
    for (const [path, operations] of Object.entries(paths)) {
      routes.push(...Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })))
    }
  }
  return routes
}

/** Connections that begin a request and never complete it. */
function openSlowSenders(ports: readonly number[]): Socket[] {
  return Array.from({ length: SLOW_SENDERS }, (_, i) => {
    const socket = connect(ports[i % ports.length]!, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(
      i % 2
        ? 'GET / HTTP/1.1\r\nhost: loc'
        : 'POST /api/accounts/sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99\r\n\r\n{',
    )
    return socket
  })
}
