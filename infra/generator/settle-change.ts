import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The steps of a change that was decided, each numbered by its place: `3.new` is put where step 3 says, `3.old` was there. */
export type Journal = readonly { does: 'make' | 'write' | 'remove'; path: string }[]

/**
 * Finishes a change that a killed command has left half done, and clears away what another one had prepared. Every
 * command of the house begins with this; when there is nothing, it costs two looks at the disk.
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
    // One that has just begun may not have come to its claim yet.
    const begunAt = statSync(draft, { throwIfNoEntry: false })?.mtimeMs ?? 0
    const isYoung = Date.now() - begunAt < 60_000 && !existsSync(join(draft, 'alive'))
    if (!isYoung && !(await isAlive(draft))) await rm(draft, { recursive: true, force: true })
  }
}

/** Says that the command which prepares this folder lives, until it does not: the kernel sees to that. */
export async function claim(folder: string): Promise<Disposable> {
  const server = createServer((socket) => socket.destroy()).listen(socketIn(folder))
  await once(server, 'listening')
  server.unref()
  return { [Symbol.dispose]: () => server.close() }
}

/** Does what is left to be done. May be called again wherever it was killed. */
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

/** Two commands may find the same change half done, and both finish it. */
async function move(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}

/** Undoes what of these steps has been done. */
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

/** Renames a folder to where none is; false when there is one. */
export async function put(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

/** The decision goes at once, and its leavings after it. */
async function clear(root: string): Promise<void> {
  const rest = join(root, '.dev/changes', randomBytes(4).toString('hex'))
  await mkdir(dirname(rest), { recursive: true, mode: 0o700 })
  await rename(join(root, '.dev/change'), rest).catch(() => {})
  await rm(rest, { recursive: true, force: true })
}

/** Undefined when it has gone meanwhile: its command has ended, and in good order. */
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

// A socket's path may hold about a hundred characters, so it is told from where we stand.
function socketIn(folder: string): string {
  return join(relative(process.cwd(), folder), 'alive')
}
