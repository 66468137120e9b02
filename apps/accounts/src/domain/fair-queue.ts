export interface FairQueueOptions {
  maxRunning: number
  maxWaiting: number
  /** Creates the error for a task that is refused, at once or while it waits. */
  refuse: () => Error
}

export interface Turn {
  /** All flows get an equal share of the turns. The tasks of one flow divide its share. */
  flow: string
  /** A flow whose tasks weigh 4 is served a quarter as often as one whose tasks weigh 1. */
  weight: number
}

interface Waiting extends Turn {
  /** Its place in the virtual time `now` below. */
  at: number
  begin(): void
  refuse(): void
}

/**
 * Runs at most `maxRunning` tasks at a time and shares the turns fairly: if one flow has many tasks, the first task of
 * another flow is still among the next to run. When more than `maxWaiting` tasks would wait, the last one is refused. It
 * belongs to the flow with the most waiting tasks, so one flow may use the whole queue as long as no other flow needs it.
 *
 * @see Goyal, Vin and Cheng, Start-time Fair Queueing (1997)
 */
export function createFairQueue({ maxRunning, maxWaiting, refuse }: FairQueueOptions) {
  /** In the order of their turns. */
  const waiting: Waiting[] = []
  let running = 0
  /** The virtual time: the place of the turn that began last. An idle flow starts from here, so it saves up no turns. */
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
      // The place passes directly to the next waiting task, so a new task cannot take it.
      const next = waiting.shift()
      if (next) now = next.at
      else running -= 1
      next?.begin()
    }
  }
}
