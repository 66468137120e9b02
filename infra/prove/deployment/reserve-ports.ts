import { randomInt } from 'node:crypto'
import { isFree } from '@repo/testing/ports'

// Below the range of `freePort` and of operating systems, so that no other program takes a port while its process is down.
const [LOWEST, END] = [5_000, 10_000]

/** Ports of all deployments of this run: a row's own deployment runs beside the shared one. */
const reserved = new Set<number>()

/**
 * Ports for processes that are restarted. The system could give a port of its own range to another program while the
 * process is down, and the restart would fail.
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
