/** Repeated calls in proportion to all calls, so that callers do not multiply the load of a service that is already slow. */
export interface RetryBudget {
  /** Of each call. */
  earn(): void
  /** Whether there is something left for one more repetition. It is then spent. */
  spend(): boolean
}

/** A fifth of all calls may be repeated. */
const SHARE = 0.2
/** So many may be at once, also when there were no calls before. */
const MOST = 10

/** @see https://twitter.github.io/finagle/guide/Clients.html#retries (retry budget) */
export function createRetryBudget(): RetryBudget {
  let left = MOST
  return {
    earn() {
      left = Math.min(MOST, left + SHARE)
    },
    spend() {
      if (left < 1) return false
      left--
      return true
    },
  }
}
