export interface ConcurrencyLimit {
  maxRunning: number
  maxWaiting: number
  /** Makes the error for a task that finds the waiting room full. */
  refuse: () => Error
}

/** Runs tasks in the order they come, at most `maxRunning` at a time. Those that may not even wait are refused at once. */
export function limitConcurrency({ maxRunning, maxWaiting, refuse }: ConcurrencyLimit) {
  const waiting: (() => void)[] = []
  let running = 0

  return async function run<T>(task: () => Promise<T>): Promise<T> {
    if (running < maxRunning) running += 1
    else if (waiting.length < maxWaiting) await new Promise<void>((takeTurn) => waiting.push(takeTurn))
    else throw refuse()

    try {
      return await task()
    } finally {
      // The place is handed on, not given up: nobody who comes at this moment can slip in before those who wait.
      const takeTurn = waiting.shift()
      if (takeTurn) takeTurn()
      else running -= 1
    }
  }
}
