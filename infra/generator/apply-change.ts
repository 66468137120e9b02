import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathOf, Refusal, type Change, type Step } from './change.ts'
import { claim, finish, put, settleChange, takeBack, type Journal } from './settle-change.ts'

/**
 * Does a change, all of it or nothing. Everything is prepared beside the tree, in `.dev/changes`; that folder is then
 * renamed to `.dev/change`, which is the moment of decision: from there on whoever finds it finishes it. What remains
 * is one rename for each step.
 *
 * @param plan asked again when somebody else has changed the tree meanwhile
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
    // From the decision on a few renames are left, and the end comes after them. While the decision itself is under way,
    // nobody can tell whether it has fallen.
    if (!isDeciding) end()
  }
  // A write that is under way while the folder is emptied fills it again, and it is emptied once more.
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

/** Nobody else changes the tree now, except by hand. */
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
