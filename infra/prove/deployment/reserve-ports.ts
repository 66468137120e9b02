import { randomInt } from 'node:crypto'
import { isFree } from '@repo/testing/free-port'

// Below the range from which `freePort` and systems take theirs: nobody may take one while its process is down.
const [LOWEST, END] = [5_000, 10_000]

/** Of every deployment of this run: rows that have one of their own run beside the one that all others share. */
const reserved = new Set<number>()

/**
 * Ports for processes that come and go. A port that the system hands out as free would be anybody's again while its
 * process is down, and a restart would find it taken.
 */
export async function reservePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = randomInt(LOWEST, END)
    if (reserved.has(port) || !(await isFree(port))) continue
    reserved.add(port)
    ports.push(port)
  }
  return ports
}
