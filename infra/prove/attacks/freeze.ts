import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { atLeast, atMost, none, told, type Attack } from '../attack.ts'
import { measureMemory } from '../deployment/measure-memory.ts'
import { newNetwork, sendSignUp, type Answer } from '../load/person.ts'
import { countOf, failuresOf, standing, tellFailures, within } from '../load/standing.ts'
import type { Result } from '../load/start-load.ts'

/** The session package promises an answer when the store has been silent for 500 ms. */
const DEADLINE_MS = 500
/** Allowed on top, because the machine is busy: this, or the slowest answer before the freeze if that was slower. */
const BUSY_MS = 500
const BACK_WITHIN_MS = 1000
const FROZEN_MS = 6000
const NEWCOMERS = 4
const MOST_GROWTH_BYTES = 64 * 1024 * 1024

/** The session store is frozen, then killed, then restarted with its data. */
export const freeze: Attack = {
  name: 'freeze',
  does: 'session store frozen for 6 s (SIGSTOP), then killed and restarted with its data',
  claim:
    '503 with `Retry-After` within the deadline; memory stays flat; everything works 1 s after the store is back',
  isQuick: true,
  needs: ['haproxy', 'redis'],
  async run({ deployment, startLoad, note }) {
    const redis = deployment.redis!
    const load = await startLoad()
    await sleep(1500)
    const before = await measureMemory(deployment.inhabited())

    note('freeze the session store')
    const frozenAt = performance.now()
    await redis.freeze()
    await sleep(FROZEN_MS / 2)
    const grown = (await measureMemory(deployment.inhabited())).map((bytes, i) => bytes - before[i]!)
    // Only after the memory is measured: to hash their passwords takes memory, whatever the store does.
    const newcomers = await askNewcomers(deployment.url)
    await sleep(frozenAt + FROZEN_MS - performance.now())
    note('thaw the session store')
    const thawedAt = performance.now()
    await redis.thaw()
    await sleep(2500)

    note('kill the session store')
    const killedAt = performance.now()
    await redis.kill()
    await sleep(1000)
    note('restart the session store')
    await redis.restart()
    const restartedAt = performance.now()
    await sleep(2500)

    const results = await load.stop()
    const usual = results.filter(({ endedAt }) => endedAt < frozenAt)
    const whileFrozen = within(results, frozenAt, thawedAt)
    const whileGone = within(results, killedAt, restartedAt)
    // Without requests that were in flight when the store was killed.
    const answeredBeforeKill = results.filter(({ endedAt }) => endedAt < killedAt)
    const afterThaw = within(answeredBeforeKill, thawedAt + BACK_WITHIN_MS, killedAt)
    const afterRestart = within(results, restartedAt + BACK_WITHIN_MS, Infinity)
    return [
      ...(await standing(load)),
      tellFailures(results),
      atLeast('requests while it was frozen', whileFrozen.length, 50),
      atMost(
        'ms the slowest answer took meanwhile',
        slowest([...whileFrozen, ...whileGone]),
        DEADLINE_MS + Math.max(BUSY_MS, slowest(usual)),
      ),
      none('refusals other than 503 with Retry-After', failuresOf(results).filter(isNoRefusal).length),
      // Sign-up needs no session, so it fails later: when its handler uses the store.
      none(
        `of ${NEWCOMERS} newcomers answered otherwise, or with a cookie`,
        newcomers.filter(isLetIn).length,
      ),
      none('failed later than 1 s after the thaw', countOf(afterThaw, 'failed')),
      none('failed later than 1 s after the restart', countOf(afterRestart, 'failed')),
      told('answered while it was frozen (no session needed)', countOf(whileFrozen, 'ok')),
      atMost(
        'MB that the memory of a process grew',
        Math.round(Math.max(...grown) / 1e6),
        MOST_GROWTH_BYTES / 1e6,
      ),
    ]
  },
}

async function askNewcomers(url: string): Promise<Answer[]> {
  const dispatcher = new Agent()
  const answers: Answer[] = []
  for (let n = 1; n <= NEWCOMERS; n++) {
    const email = `newcomer-${n}-${Date.now()}@prove.example`
    answers.push(await sendSignUp({ url, dispatcher }, email, newNetwork()))
  }
  await dispatcher.destroy()
  return answers
}

function isLetIn({ status, headers }: Answer): boolean {
  return status !== 503 || headers['retry-after'] === undefined || headers['set-cookie'] !== undefined
}

/** The highest latency in milliseconds, without the pauses of the client itself. */
function slowest(results: readonly Result[]): number {
  return Math.round(
    Math.max(0, ...results.map((result) => result.endedAt - result.intendedAt - result.pausedMs)),
  )
}

function isNoRefusal({ answer, retryAfter }: Result): boolean {
  return !answer.startsWith('503') || retryAfter === undefined
}
