import { setTimeout as sleep } from 'node:timers/promises'
import { expectAnswer } from '@repo/testing/backing-service'
import { pollUntil } from '@repo/testing/poll-until'
import { startRedisSentinel, type RedisSentinel } from '@repo/testing/servers/start-redis-sentinel'
import { atLeast, none, told, type Attack, type Finding } from '../attack.ts'
import { openDeployment, type Deployment } from '../deployment/open-deployment.ts'
import { arriveSteadily } from '../load/arrive-steadily.ts'
import { countOf, lastFailure, standing, tellFailures, within } from '../load/standing.ts'

/**
 * From the moment at which the sentinels name another master. A killed master is noticed at once. A client leaves a silent
 * master after 2 s; if it reconnects to the same master just before the failover, it needs another 2 s. With a shorter
 * timeout a client on a busy machine would leave a healthy master.
 */
const BACK_WITHIN_MS = { kill: 1000, freeze: 3000 } as const

interface Failover {
  deed: keyof typeof BACK_WITHIN_MS
  doneAt: number
  failedOverAt: number
  endAt: number
}

/** The master of the session store is killed; later the next master is frozen and never continues. */
export const sentinel: Attack<Deployment & { sentinel: RedisSentinel }> = {
  name: 'sentinel',
  does: 'Redis Sentinel: `kill -9` of the master of the session store; then the new master is frozen and never continues (SIGSTOP)',
  claim:
    'everything works 1 s after the failover, and 3 s after the failover of the frozen master; writes that the failover lost are counted',
  needs: ['haproxy', 'redis'],
  async open(options, resources) {
    const sentinel = resources.use((await startRedisSentinel())!)
    const deployment = resources.use(await openDeployment({ ...options, sessionStoreUrl: sentinel.url }))
    return Object.assign(deployment, { sentinel })
  },
  async run({ deployment, startLoad, note }) {
    const { sentinel, url } = deployment
    const load = await startLoad()
    const arrivals = arriveSteadily(url)

    async function failOver(deed: Failover['deed']): Promise<Failover> {
      await sleep(4000)
      const master = await sentinel.master()
      note(`${deed} the master`)
      const doneAt = performance.now()
      await master[deed]()
      await pollUntil('the sentinels name another', async () => (await sentinel.master()) !== master, {
        deadlineMs: 30_000,
      })
      const failedOverAt = performance.now()
      note('the sentinels name another')
      await sleep(BACK_WITHIN_MS[deed] + 4000)
      const endAt = performance.now()
      if (deed === 'kill') await master.restart()
      return { deed, doneAt, failedOverAt, endAt }
    }
    const failovers = [await failOver('kill')]
    await Promise.all(sentinel.sentinels.map(knowsReplica))
    failovers.push(await failOver('freeze'))

    const results = await load.stop()
    const { letIn, forgotten } = await arrivals.findForgotten()
    const isExcused = (at: number): boolean =>
      failovers.some(({ doneAt, failedOverAt }) => at >= doneAt - 1000 && at <= failedOverAt)
    return [
      ...(await standing(load)),
      tellFailures(results),
      ...failovers.flatMap(({ deed, doneAt, failedOverAt, endAt }): Finding[] => {
        const back = within(results, failedOverAt + BACK_WITHIN_MS[deed], endAt)
        return [
          told(`ms after the ${deed} the sentinels named another`, Math.round(failedOverAt - doneAt)),
          told('ms later the last request failed', lastFailure(within(results, doneAt, endAt), failedOverAt)),
          atLeast(`requests later than ${BACK_WITHIN_MS[deed]} ms after that`, back.length, 50),
          none('of them failed', countOf(back, 'failed')),
        ]
      }),
      atLeast('users who signed in meanwhile', letIn, 10),
      told('sign-ins that the failovers lost', forgotten.length),
      none('lost sign-ins that were older than 1 s', forgotten.filter(({ at }) => !isExcused(at)).length),
    ]
  },
}

/** Waits until the sentinels list the restarted server as a healthy replica: a second failover needs one. */
async function knowsReplica({ url }: { url: string }): Promise<void> {
  const isWell = /master-link-status\r\n\$2\r\nok/
  await pollUntil(
    'the sentinels know the one that is back',
    async () => Boolean(await expectAnswer(Number(new URL(url).port), 'SENTINEL REPLICAS nonstick', isWell)),
    { deadlineMs: 30_000, everyMs: 200 },
  )
}
