import { subscribe } from 'node:diagnostics_channel'
import { readSync, writeSync } from 'node:fs'
import { registerHooks } from 'node:module'

/**
 * Loaded before a process's own entry (`--import`), in development only. On descriptor 4 it tells the supervisor what
 * no process knows of itself:
 *
 * - each file of ours that it imports, so that an edit restarts those who run it and nobody else;
 * - `listen`, when it is about to take its port, and goes on when it is answered. So a successor starts while its
 *   predecessor still drains, and does not find the port taken.
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
