import { setTimeout as sleep } from 'node:timers/promises'

const MOST_WAIT_MS = 20

/**
 * Resolves after a wait at random, of up to a millisecond for each attempt before and 20 at most. Writers that begin again at
 * once go on in step, and one of them may be too late a hundred times in a row:
 * https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
export async function backOff(attempt: number): Promise<void> {
  await sleep(Math.random() * Math.min(attempt, MOST_WAIT_MS))
}
