import { once } from 'node:events'
import { createServer } from 'node:net'

/** @throws when the front door's port is taken, and says how to have another one */
export async function assertPortIsFree(port: number): Promise<void> {
  // Both, because "localhost" may mean either, and another program may sit on one of them alone.
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer()
    try {
      server.listen({ port, host, exclusive: true })
      await once(server, 'listening')
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') continue
      const why = code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be used (${code})`
      throw new Error(`Port ${port} ${why}. Choose another one: PORT=${port + 1} npx pnpm dev`, {
        cause: error,
      })
    } finally {
      server.close()
    }
  }
}
