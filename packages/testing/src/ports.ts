import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

// Below the ports of outgoing connections (from 32,768 on Linux, 49,152 elsewhere). An outgoing connection could take the
// port of a server that restarts or has not started yet, which then could not start.
const [FIRST, END] = [10_000, 32_768]

/**
 * Returns a free TCP port on loopback. Start the server on it at once.
 *
 * @param offsets for several servers: the returned port plus each offset is free
 */
export async function freePort(offsets: readonly number[] = [0]): Promise<number> {
  const end = END - Math.max(...offsets)
  for (;;) {
    const port = randomInt(FIRST, end)
    const areFree = await Promise.all(offsets.map((offset) => isFree(port + offset)))
    if (areFree.every(Boolean)) return port
  }
}

/** Whether no server listens on this port of loopback. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Whether a server accepts connections at this address. */
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
