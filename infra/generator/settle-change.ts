import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The steps of a committed change, numbered by their index: `3.new` is the new content of step 3, `3.old` the old one. */
export type Journal = readonly { does: 'make' | 'write' | 'remove'; path: string }[]

/**
 * Finishes a committed change of a killed command, or waits for a live one. Removes what a killed command had only prepared.
 * Every command of this repository begins with this. When there is nothing to do, it only checks two paths.
 */
export async function settleChange(root: string): Promise<void> {
  const decided = join(root, '.dev/change')
  while (existsSync(decided)) {
    const journal = readJournal(decided)
    if (await isAlive(decided)) await sleep(20)
    else if (journal) await finish(root, journal)
  }
  const drafts = join(root, '.dev/changes')
  if (!existsSync(drafts)) return
  for (const name of await readdir(drafts)) {
    const draft = join(drafts, name)
    // A command that has just begun may not have made its claim yet.
    const begunAt = statSync(draft, { throwIfNoEntry: false })?.mtimeMs ?? 0
    const isYoung = Date.now() - begunAt < 60_000 && !existsSync(join(draft, 'alive'))
    if (!isYoung && !(await isAlive(draft))) await rm(draft, { recursive: true, force: true })
  }
}

/** Opens a socket that shows that the command of this folder is alive. The kernel closes it when the process dies. */
export async function claim(folder: string): Promise<Disposable> {
  const server = createServer((socket) => socket.destroy()).listen(socketIn(folder))
  await once(server, 'listening')
  server.unref()
  return { [Symbol.dispose]: () => server.close() }
}

/** Does the steps that are not done yet. It may be killed at any point and called again. */
export async function finish(root: string, journal: Journal): Promise<void> {
  const decided = join(root, '.dev/change')
  for (const [number, { does, path }] of journal.entries()) {
    const [staged, kept] = [join(decided, `${number}.new`), join(decided, `${number}.old`)]
    const target = join(root, path)
    if (does === 'remove') {
      if (existsSync(target) && !existsSync(kept)) await move(target, kept)
    } else if (existsSync(staged)) {
      await mkdir(dirname(target), { recursive: true })
      await move(staged, target)
    }
  }
  await clear(root)
}

/** A missing source is no error: two commands may finish the same change at the same time. */
async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Undoes the steps that have been done, the last one first. */
export async function takeBack(root: string, journal: Journal): Promise<void> {
  const decided = join(root, '.dev/change')
  for (const [number, { does, path }] of [...journal.entries()].toReversed()) {
    const [staged, kept] = [join(decided, `${number}.new`), join(decided, `${number}.old`)]
    const target = join(root, path)
    if (does === 'remove') {
      if (existsSync(kept)) await rename(kept, target)
    } else if (!existsSync(staged)) {
      await rename(target, staged)
      if (existsSync(kept)) await copyFile(kept, target)
    }
  }
  await clear(root)
}

/** Renames a folder; false when there is one at the new path already. */
export async function put(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** Ends the change by one rename, and removes its files after that. */
async function clear(root: string): Promise<void> {
  const rest = join(root, '.dev/changes', randomBytes(4).toString('hex'))
  await mkdir(dirname(rest), { recursive: true, mode: 0o700 })
  await rename(join(root, '.dev/change'), rest).catch(() => {})
  await rm(rest, { recursive: true, force: true })
}

/** Undefined when the change is gone meanwhile, because its command has finished it. */
function readJournal(decided: string): Journal | undefined {
  try {
    return JSON.parse(readFileSync(join(decided, 'journal.json'), 'utf8')) as Journal
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function isAlive(folder: string): Promise<boolean> {
  const socket = connect(socketIn(folder))
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

// Relative to the current folder, because the path of a Unix socket may have only about 100 characters.
function socketIn(folder: string): string {
  return join(relative(process.cwd(), folder), 'alive')
}
