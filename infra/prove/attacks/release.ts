import { setTimeout as sleep } from 'node:timers/promises'
import { none, type Attack } from '../attack.ts'
import { NOTICE_MS } from '../deployment/open-deployment.ts'
import { failuresOf, standing, tellFailures } from '../load/standing.ts'

/** New processes beside the old ones, both at work for a while, then the new ones alone. */
export const release: Attack = {
  name: 'release',
  does: 'a new release beside the old one, then only the new one',
  claim: 'no failed request, nobody signed out, every old process ends with exit code 0',
  needs: [['haproxy']],
  async run({ deployment, startLoad, note }) {
    const load = await startLoad()
    const old = deployment.inhabited()
    const fresh = deployment.formation.running.flatMap((type) =>
      deployment
        .places(type)
        .filter((place) => !old.includes(place))
        .slice(0, deployment.each),
    )
    note('the new release starts beside the old one')
    await Promise.all(fresh.map((place) => place.start()))
    note('both are at work')
    await sleep(3000)
    note('the old release stops')
    const departures = await Promise.all(old.map((place) => place.stop()))
    note('the new release is alone')
    await sleep(NOTICE_MS + 2000)

    const results = await load.stop()
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests', failuresOf(results).length),
      none('exit codes other than 0', departures.filter(({ code }) => code !== 0).length),
    ]
  },
}
