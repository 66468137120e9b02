import { setTimeout as sleep } from 'node:timers/promises'
import { atLeast, none, told, type Attack } from '../attack.ts'
import { RELIED_ON_MS, type Deployment } from '../deployment/open-deployment.ts'
import type { Replica } from '../deployment/replica.ts'
import { failuresOf, standing, tellFailures } from '../load/standing.ts'
import type { Result } from '../load/start-load.ts'

const EVERY_MS = 1000

/** A connection to a killed process breaks at once, but on a busy machine its client notices up to this much later. */
const NEWS_MS = 250

/** `kill -9`, at most one a second, only of processes whose type has another process. */
export const kill: Attack = {
  name: 'kill',
  does: '`kill -9` of a random process of any type about every second; each is started again as soon as a core is free',
  claim:
    'only writes in flight on the killed process fail; the load balancer and the edge send its reads to another process',
  withoutEdge:
    'the ingress retries GET and HEAD, and PUT and DELETE if it has not begun to send the body; any other request on the killed process gets 502 with a page of the ingress, not `SERVICE_BROKE_OFF`',
  isQuick: true,
  needs: ['haproxy'],
  async run({ deployment, startLoad, random, scale, note }) {
    const load = await startLoad()
    const victims: { name: string; at: number }[] = []
    const starting: Promise<void>[] = []
    const endAt = performance.now() + scale(8, 60) * 1000
    await sleep(EVERY_MS)
    while (performance.now() < endAt) {
      const nextAt = performance.now() + EVERY_MS
      const victim = random.pick(expendable(deployment))
      if (victim) {
        note(`kill ${victim.name}`)
        victims.push({ name: victim.name, at: performance.now() })
        await victim.kill()
        starting.push(victim.start())
      }
      await sleep(nextAt - performance.now())
    }
    await Promise.all(starting)
    const results = await load.stop()

    const kills = victims.map(({ at }) => at)
    const failures = failuresOf(results)
    const unexplained = failures.filter((failure) => !kills.some((at) => wasInFlight(failure, at)))
    return [
      atLeast('processes killed', victims.length, scale(4, 20)),
      told('types killed', new Set(victims.map(({ name }) => name.split('.')[0])).size),
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests that no killed process had in flight', unexplained.length),
      none(
        'reads that failed (the edge repeats them)',
        failures.filter(({ method }) => method === 'GET').length,
      ),
    ]
  },
}

/** Processes whose type has another process that the edge and the load balancer already use. */
function expendable(deployment: Deployment): Replica[] {
  return deployment.formation.running.flatMap((type) => {
    const known = deployment
      .places(type)
      .filter(({ readySince = Infinity }) => performance.now() - readySince > RELIED_ON_MS)
    return known.length > 1 ? known : []
  })
}

function wasInFlight({ intendedAt, endedAt }: Result, killedAt: number): boolean {
  return intendedAt <= killedAt + NEWS_MS && endedAt >= killedAt
}
