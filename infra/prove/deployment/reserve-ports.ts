import { createServer } from 'node:net'

/** Below the range from which `freePort` and systems take theirs: nobody may take one while its process is down. */
const LOWEST = 5_000
const HIGHEST = 10_000

/**
 * Ports for processes that come and go. A port that the system hands out as free would be anybody's again while its
 * process is down, and a restart would find it taken.
 */
export async function reservePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    if (!ports.includes(port) && (await isFree(port))) ports.push(port)
  }
  return ports
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
