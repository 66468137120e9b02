import { atLeast, atMost, none, told, type Attack } from '../attack.ts'
import type { Departure } from '../deployment/replica.ts'
import { rollOver } from '../deployment/roll-over.ts'
import { endings, failuresOf, standing, tellFailures } from '../load/standing.ts'

/** A rolling restart of all types at the same time: each type stops its next process when the last one is back in use. */
export const roll: Attack = {
  name: 'roll',
  does: 'rolling restart of every process type by SIGTERM, all types at the same time',
  claim: 'no request fails; each process exits with code 0 within its grace period',
  isQuick: true,
  needs: ['haproxy'],
  async run({ deployment, startLoad, scale, note }) {
    const load = await startLoad()
    const departures: Departure[] = []
    for (let round = 1; round <= scale(1, 3); round++) {
      departures.push(...(await rollOver({ deployment, note })))
    }
    const results = await load.stop()
    return [
      atLeast('processes restarted', departures.length, deployment.inhabited().length),
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests', failuresOf(results).length),
      ...endings(departures),
      atMost(
        'ms the slowest took to exit',
        Math.max(...departures.map(({ tookMs }) => tookMs)),
        deployment.graceMs,
      ),
      told('rounds', scale(1, 3)),
    ]
  },
}
