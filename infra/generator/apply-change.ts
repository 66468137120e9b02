import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathOf, Refusal, type Change, type Step } from './change.ts'
import { claim, finish, put, settleChange, takeBack, type Journal } from './settle-change.ts'

/**
 * Applies a change, all of it or nothing. Everything is prepared in a folder of `.dev/changes`. Renaming that folder to
 * `.dev/change` commits the change: from then on, any command that finds it finishes it. Each step is then one rename.
 *
 * @param plan called again when the tree has changed meanwhile
 * @returns the change that was applied
 * @throws {Refusal} when a step fails; no step is then done
 */
export async function applyChange(root: string, plan: () => Promise<Change>): Promise<Change> {
  for (;;) {
    await settleChange(root)
    const change = await plan()
    if (await attempt(root, change)) return change
  }
}

async function attempt(root: string, { steps }: Change): Promise<boolean> {
  const draft = join(root, '.dev/changes', randomBytes(4).toString('hex'))
  let isDeciding = false
  let interruptedBy: NodeJS.Signals | undefined
  const interrupt = (signal: NodeJS.Signals): void => {
    interruptedBy = signal
    // After the commit, a few renames are left, and the process ends after them. During the commit, its outcome is unknown.
    if (!isDeciding) end()
  }
  // A write in progress may add a file while the folder is removed. Its removal is then tried again.
  const discard = (): void => rmSync(draft, { recursive: true, force: true, maxRetries: 10 })
  const end = (): never => {
    discard()
    process.exit(interruptedBy === 'SIGTERM' ? 143 : 130)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)

  await mkdir(draft, { recursive: true, mode: 0o700 })
  const alive = await claim(draft)
  try {
    for (const [number, step] of steps.entries()) await prepare(draft, number, step)
    const journal: Journal = steps.map(inShort)
    await writeFile(join(draft, 'journal.json'), JSON.stringify(journal))
    isDeciding = true
    if (!(await put(draft, join(root, '.dev/change')))) return false
    if (!isAsPlanned(root, steps)) {
      await takeBack(root, [])
      return false
    }
    try {
      await finish(root, journal)
    } catch (error) {
      await takeBack(root, journal)
      throw new Refusal(`Nothing was changed: ${(error as Error).message}`, { cause: error })
    }
    return true
  } finally {
    alive[Symbol.dispose]()
    discard()
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt)
    if (interruptedBy) end()
  }
}

async function prepare(draft: string, number: number, step: Step): Promise<void> {
  const target = join(draft, `${number}.new`)
  if ('write' in step) {
    await writeFile(target, step.content)
    if (step.before !== undefined) await writeFile(join(draft, `${number}.old`), step.before)
  } else if ('make' in step) {
    for (const [path, text] of step.files) {
      await mkdir(dirname(join(target, path)), { recursive: true })
      await writeFile(join(target, path), text)
    }
    for (const [path, to] of step.links) {
      await mkdir(dirname(join(target, path)), { recursive: true })
      await symlink(to, join(target, path), 'dir')
    }
  }
}

/** Whether the tree is still as it was when the change was planned. No other command changes it now, but a user may. */
function isAsPlanned(root: string, steps: readonly Step[]): boolean {
  return steps.every((step) => {
    const path = join(root, pathOf(step))
    if ('make' in step) return !existsSync(path)
    if ('remove' in step) return existsSync(path)
    return (existsSync(path) ? readFileSync(path, 'utf8') : undefined) === step.before
  })
}

function inShort(step: Step): Journal[number] {
  const does = 'make' in step ? 'make' : 'write' in step ? 'write' : 'remove'
  return { does, path: pathOf(step) }
}
