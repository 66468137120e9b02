import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'

// Node says once that this function is experimental, in the middle of somebody's log. It needs to be said to nobody.
const printers = process.listeners('warning')
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') for (const print of printers) print(warning)
})

/** Why Node could not read a TypeScript file, with the line it is in; undefined when it can, or there is no file. */
export function findSyntaxError(path: string): string | undefined {
  try {
    stripTypeScriptTypes(readFileSync(path, 'utf8'))
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code?.startsWith('ERR_') ? message.trim() : undefined
  }
}
