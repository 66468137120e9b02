import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Loaded before a command (`--import`): kills it with `kill -9`, or whatever signal it is told, just before its
 * KILL_AT-th change of the disk. With 0 it only counts, and says the number at the end.
 */
const at = Number(process.env.KILL_AT)
const signal = (process.env.KILL_WITH ?? 'SIGKILL') as NodeJS.Signals
let count = 0

function counted<Args extends unknown[], Result>(
  change: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    count += 1
    if (count === at) process.kill(process.pid, signal)
    return change(...args)
  }
}

Object.assign(fs, {
  mkdir: counted(fs.mkdir),
  rename: counted(fs.rename),
  rm: counted(fs.rm),
  symlink: counted(fs.symlink),
  writeFile: counted(fs.writeFile),
})
syncBuiltinESMExports()
process.on('exit', () => at === 0 && console.log(`changes of the disk: ${count}`))
