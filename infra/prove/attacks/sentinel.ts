import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { startRedisSentinel, type RedisSentinel } from '@repo/testing/start-redis-sentinel'
import { atLeast, none, told, type Attack } from '../attack.ts'
import { openDeployment, type Deployment } from '../deployment/open-deployment.ts'
import { arriveSteadily } from '../load/arrive-steadily.ts'
import { countOf, lastFailure, standing, tellFailures, within } from '../load/standing.ts'

/**
 * Measured: clients leave a silent master after 2 s, and the sentinels take 1 to 3 s to agree on another. A second more
 * is theirs to find it.
 */
const BACK_WITHIN_MS = 1000

/** The master of the session store says nothing any more, and its replica takes over. */
export const sentinel: Attack<Deployment & { sentinel: RedisSentinel }> = {
  name: 'sentinel',
  does: 'Redis Sentinel: the master of the session store is frozen for good, its replica takes over',
  claim: 'everything works 1 s after the failover; what it undid is counted',
  needs: [['haproxy'], ['redis-server', 'valkey-server']],
  async open(options, resources) {
    const sentinel = resources.use((await startRedisSentinel())!)
    const deployment = resources.use(await openDeployment({ ...options, sessionStoreUrl: sentinel.url }))
    return Object.assign(deployment, { sentinel })
  },
  async run({ deployment, startLoad, note }) {
    const { sentinel, url } = deployment
    const load = await startLoad()
    const arrivals = arriveSteadily(url)
    await sleep(4000)

    const master = await sentinel.master()
    note('freeze the master')
    const frozenAt = performance.now()
    await master.freeze()
    await pollUntil('the sentinels name another', async () => (await sentinel.master()) !== master, {
      deadlineMs: 30_000,
    })
    const failedOverAt = performance.now()
    note('the sentinels name another')
    await sleep(BACK_WITHIN_MS + 4000)

    const results = await load.stop()
    const { letIn, forgotten } = await arrivals.findForgotten()
    const back = within(results, failedOverAt + BACK_WITHIN_MS, Infinity)
    return [
      ...(await standing(load)),
      tellFailures(results),
      told('ms until the sentinels named another', Math.round(failedOverAt - frozenAt)),
      told('ms later the last request failed', lastFailure(results, failedOverAt)),
      atLeast('requests later than 1 s after that', back.length, 50),
      none('of them failed', countOf(back, 'failed')),
      atLeast('people let in meanwhile', letIn, 10),
      told('sign-ins that the failover undid', forgotten.length),
      none(
        'sign-ins undone that were older than 1 s',
        forgotten.filter(({ at }) => at < frozenAt - 1000 || at > failedOverAt).length,
      ),
    ]
  },
}
