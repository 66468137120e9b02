import { setTimeout as sleep } from 'node:timers/promises'
import type { Arena } from '../attack.ts'
import { NOTICE_MS } from './open-deployment.ts'
import type { Departure, Otherwise } from './replica.ts'

/**
 * SIGTERM to one process of every type at a time, all types side by side, and the next one when its successor is known.
 *
 * @param otherwise what is different about the successors
 */
export async function rollOver(
  { deployment, note }: Pick<Arena, 'deployment' | 'note'>,
  otherwise?: Otherwise,
): Promise<Departure[]> {
  const departures: Departure[] = []
  // All of them to their end: none rolls on into the next row because another one has failed.
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
