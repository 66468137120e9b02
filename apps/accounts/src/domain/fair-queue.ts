export interface FairQueueOptions {
  maxRunning: number
  maxWaiting: number
  /** Makes the error for a task that may not wait, or not any longer. */
  refuse: () => Error
}

export interface Turn {
  /** Tasks of one flow wait for each other; different flows share what there is in equal parts. */
  flow: string
  /** A flow whose tasks weigh 4 is served a quarter as often as one whose tasks weigh 1. */
  weight: number
}

interface Waiting extends Turn {
  /** Where the task stands on the clock below. */
  at: number
  begin(): void
  refuse(): void
}

/**
 * Runs at most `maxRunning` tasks at a time and shares the turns fairly: however many tasks one flow brings, the first one of
 * another flow is among the next to run. When more than `maxWaiting` would wait, those who stand last are refused, and they
 * belong to whoever brought the most: one flow may have all of the room, as long as nobody else needs it.
 *
 * @see Goyal, Vin and Cheng, Start-time Fair Queueing (1997)
 */
export function createFairQueue({ maxRunning, maxWaiting, refuse }: FairQueueOptions) {
  /** In the order of their turns. */
  const waiting: Waiting[] = []
  let running = 0
  /** The turn that began last. It is the clock: a flow that was quiet starts from now, and has saved nothing up. */
  let now = 0

  function wait({ flow, weight }: Turn): Promise<void> {
    const before = waiting.findLast((other) => other.flow === flow)?.at ?? now
    const at = before + weight
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const place = waiting.findLastIndex((other) => other.at <= at) + 1
    waiting.splice(place, 0, { flow, weight, at, begin: resolve, refuse: () => reject(refuse()) })
    if (waiting.length > maxWaiting) waiting.pop()!.refuse()
    return promise
  }

  return async function run<T>(turn: Turn, task: () => Promise<T>): Promise<T> {
    if (running < maxRunning) running += 1
    else await wait(turn)

    try {
      return await task()
    } finally {
      // The place is handed on, not given up: nobody who comes at this moment can slip in before those who wait.
      const next = waiting.shift()
      if (next) now = next.at
      else running -= 1
      next?.begin()
    }
  }
}
