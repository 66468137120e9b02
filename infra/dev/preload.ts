import { subscribe } from 'node:diagnostics_channel'
import { readSync, writeSync } from 'node:fs'
import { registerHooks } from 'node:module'

/**
 * Loaded before a process's own entry (`--import`), in development only. It writes to the supervisor on descriptor 4:
 *
 * - the URL of each of our files that the process imports, so that an edit restarts only the processes that import it;
 * - `listen`, before the process takes its port. It then waits for an answer. So a new process starts while the old one
 *   still drains, and its port is free when it listens.
 */
const SUPERVISOR = 4
const told = new Set<string>()

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    if (found.url.startsWith('file:') && !found.url.includes('/node_modules/') && !told.has(found.url)) {
      told.add(found.url)
      writeSync(SUPERVISOR, `${found.url}\n`)
    }
    return found
  },
})

subscribe('tracing:net.server.listen:asyncStart', (message) => {
  const { port } = (message as { options: { port?: number } }).options
  if (port !== Number(process.env.PORT)) return
  writeSync(SUPERVISOR, 'listen\n')
  readSync(SUPERVISOR, Buffer.alloc(64))
})
