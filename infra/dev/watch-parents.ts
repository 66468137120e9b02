import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const EVERY_MS = 500

interface Relative {
  pid: number
  parent: number
}

/**
 * Calls `onGone` when one of the commands that started us ends before we do: `npx pnpm dev` is four processes deep, and a
 * killed one cannot signal its child. The kernel gives the child another parent, which is checked every 500 ms.
 */
export function watchParents(onGone: () => void): Disposable {
  const chain = launchers()
  const timer = setInterval(() => {
    if (chain.every(({ pid, parent }) => parentOf(pid) === parent)) return
    clearInterval(timer)
    onGone()
  }, EVERY_MS)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** From us up to the topmost npx, npm or pnpm. Not further, because a shell may end before us (`nohup`). */
function launchers(): Relative[] {
  const chain: Relative[] = []
  let known = 0
  for (let pid = process.pid; pid > 1;) {
    const parent = parentOf(pid)
    const command = commandOf(parent)
    const isLauncher = /\b(npx|npm|pnpm)\b/.test(command)
    if (!isLauncher && !/^\S*sh -c /.test(command)) break
    chain.push({ pid, parent })
    if (isLauncher) known = chain.length
    pid = parent
  }
  return chain.slice(0, known)
}

function parentOf(pid: number): number {
  if (pid === process.pid) return process.ppid
  const stat = fromProc(pid, 'stat') ?? ps(pid, 'ppid')
  // The format is "pid (program name) state ppid ...". The program name may contain spaces and parentheses.
  return Number(stat.includes(')') ? stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1] : stat)
}

function commandOf(pid: number): string {
  return fromProc(pid, 'cmdline')?.replaceAll('\0', ' ') ?? ps(pid, 'args')
}

function fromProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return undefined
  }
}

function ps(pid: number, column: string): string {
  if (process.platform === 'linux') return ''
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', `${pid}`], { encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}
