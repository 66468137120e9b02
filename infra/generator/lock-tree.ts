import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { basename, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A command that changes the tree holds it while it runs. */
interface Lock extends Disposable {
  /** `.dev/change`, which is removed with the lock. */
  folder: string
  /** Leaves word for the next command of what changes now, in case that this process is killed. */
  begin(paths: readonly string[]): void
}

/** Waits for other commands, and then keeps them out. A folder can only be renamed to `.dev/change` when there is none. */
export async function lockTree(root: string): Promise<Lock> {
  const folder = join(root, '.dev/change')
  const draft = join(root, '.dev/changes', randomBytes(4).toString('hex'))
  mkdirSync(draft, { recursive: true, mode: 0o700 })
  // Shows that this process is alive: the kernel closes the socket when it dies.
  const alive = createServer((socket) => socket.destroy()).listen(socketIn(draft))
  await once(alive, 'listening')
  alive.unref()
  do await waitForTree(root)
  while (!tryToRename(draft, folder))
  return {
    folder,
    begin(paths) {
      const command = `pnpm ${[basename(process.argv[1]!, '.ts'), ...process.argv.slice(2)].join(' ')}`
      writeFileSync(join(folder, 'begun.json'), JSON.stringify({ command, paths }))
    },
    [Symbol.dispose]() {
      // First by one rename: a process that is killed during the removal leaves nothing to ask about.
      renameSync(folder, draft)
      alive.close()
      rmSync(draft, { recursive: true })
    },
  }
}

/**
 * Waits while a command changes the tree. When one was killed in the middle of its changes, prints how to go back, and ends this
 * process with exit code 1. Every command of this repository begins with it.
 */
export async function waitForTree(root: string): Promise<void> {
  const folder = join(root, '.dev/change')
  const find = (): number | undefined => statSync(folder, { throwIfNoEntry: false })?.ino
  for (let found = find(); found !== undefined; found = find()) {
    if (await isAlive(folder)) await sleep(20)
    // Otherwise that command has ended by now, and the folder may be the next one's.
    else if (find() === found) {
      const begun = join(folder, 'begun.json')
      if (existsSync(begun) && !isClean(root)) {
        console.error(adviceOn(JSON.parse(readFileSync(begun, 'utf8'))))
        process.exit(1)
      }
      rmSync(folder, { recursive: true })
    }
  }
}

function adviceOn({ command, paths }: { command: string; paths: string[] }): string {
  const more = paths.length > 10 ? [`and ${paths.length - 10} more`] : []
  return `${command} was killed while it changed these:
${[...paths.slice(0, 10), ...more].map((line) => `  ${line}`).join('\n')}
Back to the last commit, without anything that is not committed: git checkout . && git clean -fd
Or make it whole by hand, and then: rm -r .dev/change`
}

/** Whether nothing differs from the last commit. Without git this is not known. */
function isClean(root: string): boolean {
  try {
    return execFileSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' }) === ''
  } catch {
    return false
  }
}

function tryToRename(from: string, to: string): boolean {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (/ENOTEMPTY|EEXIST|EPERM/.test((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

function isAlive(folder: string): Promise<boolean> {
  const socket = connect(socketIn(folder))
  return once(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy())
}

// Relative to the current folder, because the path of a Unix socket may have only about 100 characters.
function socketIn(folder: string): string {
  return join(relative(process.cwd(), folder), 'alive')
}
