import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Loaded before a command (`--import`): sends it SIGKILL, or the signal in KILL_WITH, just before its KILL_AT-th change of
 * the disk. With KILL_AT=0 it only counts, and at the exit prints the number of changes and which of them is the commit.
 */
const at = Number(process.env.KILL_AT)
const signal = (process.env.KILL_WITH ?? 'SIGKILL') as NodeJS.Signals
let count = 0
let decision = 0

function counted<Args extends unknown[], Result>(
  change: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  return async (...args) => {
    count += 1
    if (args[1] === join(process.cwd(), '.dev/change')) decision = count
    if (count !== at) return change(...args)
    process.kill(process.pid, signal)
    // A signal that the command handles arrives during the change: the change is done, but its promise is not resolved yet.
    const result = await change(...args)
    await sleep(20)
    return result
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
process.on('exit', () => at === 0 && console.log(`changes of the disk: ${count}, decided by ${decision}`))
