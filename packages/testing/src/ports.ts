import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

// Below those that the kernel gives to outgoing connections (from 32,768 on Linux, 49,152 elsewhere): one of these may
// take the port of a server that is down for a moment, or not up yet, and then it cannot start.
const [FIRST, END] = [10_000, 32_768]

/**
 * A TCP port on loopback that nobody listens on now. Whoever starts a server on it should do so at once.
 *
 * @param offsets for several servers, whose ports lie this far above the one that is returned
 */
export async function freePort(offsets: readonly number[] = [0]): Promise<number> {
  const end = END - Math.max(...offsets)
  for (;;) {
    const port = randomInt(FIRST, end)
    const areFree = await Promise.all(offsets.map((offset) => isFree(port + offset)))
    if (areFree.every(Boolean)) return port
  }
}

/** Whether nobody listens on this port of loopback now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Whether anybody accepts connections at this address. */
export async function isListening(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
