import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { pathOf, Refusal, type Change, type Step } from './change.ts'
import { lockTree } from './lock-tree.ts'
import { listFiles } from './template.ts'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Applies a change, all of it or nothing: each step is one rename, and when one fails, those before it are undone. Only
 * `kill -9` between two of them leaves a part, and the next command then says how to go back.
 *
 * @param plan called when no other command changes the tree
 * @returns the change that was applied
 * @throws {Refusal} when a step fails
 */
export async function applyChange(root: string, plan: () => Promise<Change>): Promise<Change> {
  const lock = await lockTree(root)
  const end = (signal: NodeJS.Signals): never => {
    lock[Symbol.dispose]()
    process.exit(signal === 'SIGTERM' ? 143 : 130)
  }
  for (const signal of SIGNALS) process.on(signal, end)
  try {
    const change = await plan()
    for (const [number, step] of change.steps.entries()) stage(join(lock.folder, `${number}.new`), step)
    await hearSignals()
    lock.begin(change.steps.map(pathOf))
    // No signal is heard during the steps.
    doSteps(root, lock.folder, change.steps)
    await hearSignals()
    return change
  } finally {
    for (const signal of SIGNALS) process.off(signal, end)
    lock[Symbol.dispose]()
  }
}

/** Ends the process when a signal has come. The event loop asks for signals between two immediates, not before the first. */
async function hearSignals(): Promise<void> {
  await setImmediate()
  await setImmediate()
}

function stage(path: string, step: Step): void {
  if ('write' in step) writeFileSync(path, step.content)
  if (!('make' in step)) return
  for (const [name, text] of step.files) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text)
  }
  for (const [name, to] of step.links) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    symlinkSync(to, join(path, name), 'dir')
  }
}

function doSteps(root: string, folder: string, steps: readonly Step[]): void {
  const undo: (() => void)[] = []
  try {
    for (const [number, step] of steps.entries()) {
      const [target, staged, kept] = [
        join(root, pathOf(step)),
        join(folder, `${number}.new`),
        join(folder, `${number}.old`),
      ]
      if ('remove' in step) {
        renameSync(target, kept)
        undo.push(() => renameSync(kept, target))
      } else {
        if ('make' in step) removeLeftovers(target)
        else keep(target, kept, step.before)
        mkdirSync(dirname(target), { recursive: true })
        renameSync(staged, target)
        undo.push(() => (existsSync(kept) ? renameSync(kept, target) : rmSync(target, { recursive: true })))
      }
    }
  } catch (error) {
    for (const undoStep of undo.toReversed()) undoStep()
    throw new Refusal(`Nothing was changed: ${(error as Error).message}`, { cause: error })
  }
}

/** What git leaves of an app that it removes: installed packages, and what tools have made. */
function removeLeftovers(target: string): void {
  if (existsSync(target) && listFiles(target).length === 0) rmSync(target, { recursive: true })
}

/** Keeps the present content, for the undoing. */
function keep(target: string, kept: string, before: string | undefined): void {
  const present = existsSync(target) ? readFileSync(target, 'utf8') : undefined
  if (present !== before) throw new Error(`${target} was edited meanwhile.`)
  if (present !== undefined) linkSync(target, kept)
}
