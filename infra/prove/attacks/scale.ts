import { setTimeout as sleep } from 'node:timers/promises'
import { atLeast, atMost, none, type Attack } from '../attack.ts'
import { NOTICE_MS, type Deployment } from '../deployment/open-deployment.ts'
import type { ProcessType } from '../../formation.ts'
import { failuresOf, standing, tellFailures, within } from '../load/standing.ts'

/** The edge checks once more for up to 500 ms whether a process has started, and then answers 503. */
const AT_ONCE_MS = 1500
const ZERO_MS = 3000

export const scale: Attack = {
  name: 'scale',
  does: 'each process type from 1 to 4 to 1, then one service to 0 and back',
  claim:
    'only requests to the service at 0 fail: they get 503 at once, and succeed again once it has a process',
  withoutEdge: 'for a service at 0 the ingress answers 503 with a page of its own',
  needs: ['haproxy'],
  async run({ deployment, startLoad, random, note }) {
    const load = await startLoad()
    for (const type of deployment.formation.running) {
      for (const count of [1, 4, 1]) {
        note(`${type.name}: ${count}`)
        await scaleTo(deployment, type, count)
      }
    }

    const services = deployment.formation.running.filter(({ route }) => route !== undefined && route !== '/')
    const emptied = random.pick(services)!
    note(`${emptied.name}: 0`)
    const zeroFrom = performance.now()
    await scaleTo(deployment, emptied, 0)
    const emptyFrom = performance.now()
    await sleep(ZERO_MS)
    const emptyUntil = performance.now()
    note(`${emptied.name}: 1`)
    await scaleTo(deployment, emptied, 1)
    const zeroUntil = performance.now()
    await sleep(2000)

    const results = await load.stop()
    const mayFail = within(results, zeroFrom, zeroUntil).filter(({ path }) => isOf(emptied, path))
    const atZero = within(results, emptyFrom, emptyUntil).filter(({ path }) => isOf(emptied, path))
    const failures = failuresOf(results)
    const refusals = failuresOf(mayFail)
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests other than those to the service at 0', failures.length - refusals.length),
      atLeast('requests to the service at 0', atZero.length, 10),
      none(
        'of them answered other than 503',
        atZero.filter(({ answer }) => !answer.startsWith('503')).length,
      ),
      none(
        'refusals on the way to 0 and back other than 503',
        refusals.filter(({ answer }) => !answer.startsWith('503')).length,
      ),
      atMost('ms the slowest refusal took', Math.round(Math.max(0, ...atZero.map(tookMs))), AT_ONCE_MS),
    ]
  },
}

async function scaleTo(deployment: Deployment, type: ProcessType, count: number): Promise<void> {
  const places = deployment.places(type)
  await Promise.all(places.slice(0, count).map((place) => place.start()))
  await sleep(NOTICE_MS)
  await Promise.all(places.slice(count).map((place) => place.stop()))
}

function isOf({ route }: ProcessType, path: string): boolean {
  return path === route || path.startsWith(`${route}/`)
}

function tookMs({
  intendedAt,
  endedAt,
  pausedMs,
}: {
  intendedAt: number
  endedAt: number
  pausedMs: number
}): number {
  return endedAt - intendedAt - pausedMs
}
