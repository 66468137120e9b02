import { setTimeout as sleep } from 'node:timers/promises'
import { atLeast, none, told, type Attack } from '../attack.ts'
import { countOf, failuresOf, standing, tellFailures, within } from '../load/standing.ts'
import type { Result } from '../load/start-load.ts'

const FROZEN_MS = 6000
const BACK_WITHIN_MS = 2000

/** Postgres restarts under load, and is later frozen for 6 s. */
export const postgres: Attack = {
  name: 'postgres',
  does: 'Postgres restarted under load, then frozen for 6 s (SIGSTOP)',
  claim:
    '503 with `Retry-After` while Postgres is unavailable; pools recover by themselves: nothing fails from 2 s after it is back',
  needs: ['haproxy'],
  async run({ deployment, startLoad, note }) {
    const load = await startLoad()
    await sleep(2000)

    note('restart Postgres')
    const stoppedAt = performance.now()
    await deployment.postgres.restart()
    const restartedAt = performance.now()
    note('Postgres answers again')
    await sleep(5000)

    note('freeze Postgres')
    const frozenAt = performance.now()
    await deployment.postgres.freeze()
    await sleep(FROZEN_MS)
    note('thaw Postgres')
    await deployment.postgres.thaw()
    const thawedAt = performance.now()
    await sleep(6000)

    const results = await load.stop()
    const away = [...within(results, stoppedAt, restartedAt), ...within(results, frozenAt, thawedAt)]
    const back = [
      ...within(results, restartedAt + BACK_WITHIN_MS, frozenAt - FROZEN_MS / 2),
      ...within(results, thawedAt + BACK_WITHIN_MS, Infinity),
    ]
    return [
      ...(await standing(load)),
      tellFailures(results),
      atLeast('requests while it was away', away.length, 100),
      told('of them answered nevertheless', countOf(away, 'ok')),
      none('refusals other than 503 with Retry-After', failuresOf(results).filter(isNoRefusal).length),
      none('failed later than 2 s after it was back', countOf(back, 'failed')),
      told('ms the restart took', Math.round(restartedAt - stoppedAt)),
    ]
  },
}

function isNoRefusal({ answer, retryAfter }: Result): boolean {
  return !answer.startsWith('503') || retryAfter === undefined
}
