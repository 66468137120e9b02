import { setTimeout as sleep } from 'node:timers/promises'
import { expectAnswer } from '@repo/testing/backing-service'
import { pollUntil } from '@repo/testing/poll-until'
import { startRedisCluster, type RedisCluster } from '@repo/testing/servers/start-redis-cluster'
import { atLeast, none, told, type Attack } from '../attack.ts'
import { openDeployment, type Deployment } from '../deployment/open-deployment.ts'
import { arriveSteadily } from '../load/arrive-steadily.ts'
import { countOf, lastFailure, standing, tellFailures, within } from '../load/standing.ts'

/** The time in which every client finds the new master. */
const BACK_WITHIN_MS = 1000

/** One of three masters of the session store dies, and its replica takes over. */
export const cluster: Attack<Deployment & { cluster: RedisCluster }> = {
  name: 'cluster',
  does: 'Redis Cluster: `kill -9` of one of three masters of the session store; its replica takes over',
  claim:
    'sessions on the other masters are unaffected; everything works 1 s after the failover; writes that the failover lost are counted',
  needs: ['haproxy', 'redis'],
  async open(options, resources) {
    const cluster = resources.use((await startRedisCluster({ withReplicas: true }))!)
    const deployment = resources.use(await openDeployment({ ...options, sessionStoreUrl: cluster.url }))
    return Object.assign(deployment, { cluster })
  },
  async run({ deployment, startLoad, random, note }) {
    const { cluster, url } = deployment
    const load = await startLoad()
    const arrivals = arriveSteadily(url)
    await sleep(4000)

    const victim = random.pick(cluster.masters)!
    const successor = cluster.replicas[cluster.masters.indexOf(victim)]!
    note('kill a master')
    const killedAt = performance.now()
    await victim.kill()
    await pollUntil(
      'its replica is master',
      async () =>
        Boolean(await expectAnswer(Number(new URL(successor.url).port), 'INFO replication', /role:master/)),
      { deadlineMs: 30_000 },
    )
    const failedOverAt = performance.now()
    note('its replica is master')
    await sleep(BACK_WITHIN_MS + 4000)

    const results = await load.stop()
    const { letIn, forgotten } = await arrivals.findForgotten()
    const back = within(results, failedOverAt + BACK_WITHIN_MS, Infinity)
    return [
      ...(await standing(load)),
      tellFailures(results),
      told('ms until its replica was master', Math.round(failedOverAt - killedAt)),
      told(
        'answered in the meantime (keys of the other masters)',
        countOf(within(results, killedAt, failedOverAt), 'ok'),
      ),
      told('ms later the last request failed', lastFailure(results, failedOverAt)),
      atLeast('requests later than 1 s after that', back.length, 50),
      none('of them failed', countOf(back, 'failed')),
      atLeast('users who signed in meanwhile', letIn, 10),
      told('sign-ins that the failover lost', forgotten.length),
      none(
        'lost sign-ins that were older than 1 s',
        forgotten.filter(({ at }) => at < killedAt - 1000 || at > failedOverAt).length,
      ),
    ]
  },
}
