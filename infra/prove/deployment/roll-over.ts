import { setTimeout as sleep } from 'node:timers/promises'
import type { Arena } from '../attack.ts'
import { NOTICE_MS } from './open-deployment.ts'
import type { Departure, Otherwise } from './replica.ts'

/**
 * A rolling restart of all types at the same time: each type stops one process with SIGTERM, starts it again, and continues
 * with the next one when the edge and the load balancer use it.
 *
 * @param otherwise differences for the new processes
 */
export async function rollOver(
  { deployment, note }: Pick<Arena, 'deployment' | 'note'>,
  otherwise?: Otherwise,
): Promise<Departure[]> {
  const departures: Departure[] = []
  // allSettled: when one type fails, the others must finish before the next row starts.
  const rolls = await Promise.allSettled(
    deployment.formation.running.map(async (type) => {
      for (const place of deployment.inhabited(type)) {
        note(`stop ${place.name}`)
        departures.push(await place.stop())
        await place.start(otherwise)
        note(`${place.name} is ready`)
        await sleep(NOTICE_MS)
      }
    }),
  )
  for (const roll of rolls) if (roll.status === 'rejected') throw roll.reason
  return departures
}
