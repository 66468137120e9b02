import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { none, type Attack } from '../attack.ts'
import { NOTICE_MS } from '../deployment/open-deployment.ts'
import { signUp, WHO_AM_I } from '../load/person.ts'
import { endings, failuresOf, standing, tellFailures } from '../load/standing.ts'

const NEWCOMERS = 10

/** New processes start beside the old ones, both serve for a while, then the old ones stop. */
export const release: Attack = {
  name: 'release',
  does: 'a new release beside the old one, then only the new one, which has a new session secret in front of the old secret',
  claim: 'no request fails; each old process exits with code 0',
  needs: ['haproxy'],
  async run({ deployment, startLoad, note }) {
    const load = await startLoad()
    const env = { SESSION_SECRETS: `${randomBytes(32).toString('base64url')},${deployment.sessionSecret}` }
    const old = deployment.inhabited()
    const fresh = deployment.formation.running.flatMap((type) =>
      deployment
        .places(type)
        .filter((place) => !old.includes(place))
        .slice(0, deployment.each),
    )
    note('the new release starts beside the old one')
    await Promise.all(fresh.map((place) => place.start({ env })))
    note('both are at work')
    await sleep(NOTICE_MS)
    const strangers = await letIn(deployment.url)
    await sleep(2000)
    note('the old release stops')
    const departures = await Promise.all(old.map((place) => place.stop()))
    note('the new release is alone')
    await sleep(NOTICE_MS + 2000)

    const results = await load.stop()
    return [
      ...(await standing(load, { renewsCookies: true })),
      tellFailures(results),
      none('failed requests', failuresOf(results).length),
      none(`answers that did not know one of ${NEWCOMERS} users who signed in meanwhile`, strangers),
      ...endings(departures),
    ]
  },
}

/** Users sign up on either release, and both must know them: each user sends 8 requests. Resolves to the number of 401s. */
async function letIn(url: string): Promise<number> {
  const agent = new Agent()
  let strangers = 0
  for (let n = 1; n <= NEWCOMERS; n++) {
    const person = await signUp({ url, dispatcher: agent }, `newcomer-${n}-${Date.now()}@prove.example`)
    for (let time = 1; time <= 8; time++) {
      const { status } = await person.ask({ method: 'GET', path: WHO_AM_I })
      if (status === 401) strangers++
    }
  }
  await agent.destroy()
  return strangers
}
