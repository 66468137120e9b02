import { writeSync } from 'node:fs'
import { registerHooks } from 'node:module'

/**
 * Loaded before a process's own entry (`--import`), in development only: tells the supervisor, on descriptor 4, each
 * file of ours that the process imports, so that an edit restarts those who run it and nobody else.
 */
const REPORT = 4
const told = new Set<string>()

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    if (found.url.startsWith('file:') && !found.url.includes('/node_modules/') && !told.has(found.url)) {
      told.add(found.url)
      writeSync(REPORT, `${found.url}\n`)
    }
    return found
  },
})
