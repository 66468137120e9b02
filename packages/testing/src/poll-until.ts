import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Polls until `isTrue` returns true. An error counts as "not yet".
 *
 * @throws after `deadlineMs`, with `claim` in the message and the error of the last poll, if any, as cause.
 */
export async function pollUntil(
  claim: string,
  isTrue: () => boolean | Promise<boolean>,
  { deadlineMs = 10_000, everyMs = 20 } = {},
): Promise<void> {
  const giveUpAt = performance.now() + deadlineMs
  let cause: unknown
  for (;;) {
    try {
      if (await isTrue()) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`Not so within ${deadlineMs} ms: ${claim}`, { cause })
    }
    await sleep(everyMs)
  }
}
