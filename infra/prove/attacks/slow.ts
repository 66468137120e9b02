import { setTimeout as sleep } from 'node:timers/promises'
import { atLeast, atMost, none, told, type Attack } from '../attack.ts'
import { failuresOf, percentile, standing, tellFailures, within } from '../load/standing.ts'
import type { Result } from '../load/start-load.ts'

const FROZEN_MS = 3000
/** The edge probes five times a second with a timeout of 1 s, and then moves reads to another process. */
const MOVED_ON_WITHIN_MS = 2000
/** On a busy machine with two cores, a p99 below this has no meaning. */
const NOISE_MS = 250

/** One process of each service in turn is frozen for 3 s. */
export const slow: Attack = {
  name: 'slow',
  does: 'one process of each service in turn answers 3 s late (SIGSTOP)',
  claim:
    'nothing fails; reads go to another process; the p99 of other services stays below 3 times its value before',
  withoutEdge:
    'a new read waits until the frozen pod fails its readiness probe, 4 s at most; a read that was under way waits until `proxy-read-timeout`',
  needs: ['haproxy'],
  async run({ deployment, startLoad, random, note }) {
    const load = await startLoad()
    const begunAt = performance.now()
    await sleep(5000)
    const before = within(load.results, begunAt, performance.now())
    const others: Result[] = []
    const reads: Result[] = []

    for (const type of deployment.formation.running) {
      if (type.route === undefined || type.route === '/') continue
      const victim = random.pick(deployment.inhabited(type))!
      note(`freeze ${victim.name}`)
      const from = performance.now()
      victim.freeze()
      await sleep(FROZEN_MS)
      note(`thaw ${victim.name}`)
      const until = performance.now()
      victim.thaw()
      await sleep(2000)
      for (const result of within(load.results, from, until)) {
        if (!result.path.startsWith(type.route)) others.push(result)
        else if (result.method === 'GET') reads.push(result)
      }
    }

    const results = await load.stop()
    const usual = percentile(before.filter(isUnpaused), 0.99)
    const p99 = percentile(others.filter(isUnpaused), 0.99)
    const slowReads = reads.filter(({ intendedAt, endedAt }) => endedAt - intendedAt > MOVED_ON_WITHIN_MS)
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests', failuresOf(results).length),
      atLeast('reads of the service with the slow process', reads.length, 30),
      none('of them that waited longer than 2 s', slowReads.length),
      told('p99 before, ms', usual),
      atMost(
        'p99 of the other services meanwhile, ms',
        p99,
        Math.min(Math.max(3 * usual, NOISE_MS), MOVED_ON_WITHIN_MS),
      ),
    ]
  },
}

function isUnpaused({ pausedMs }: Result): boolean {
  return pausedMs === 0
}
