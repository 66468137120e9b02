import { spawn } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'
import { pollUntil } from './poll-until.ts'

/** One operating-system process that cannot outlive us. */
export interface TetheredProcess extends AsyncDisposable {
  readonly pid: number
  /** How it ended; never rejects. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly isRunning: boolean
  /** The last lines it wrote, for error messages. */
  output(): string
  /** Sends a signal; nothing when it has ended. */
  kill(signal: NodeJS.Signals): void
  /** Asks it to end with its `stopSignal` (a frozen one is thawed for it), and after `deadlineMs` makes it. */
  stop(deadlineMs?: number): Promise<void>
}

export interface TetherOptions {
  env: Record<string, string | undefined>
  cwd?: string | undefined
  /** What asks this program to end in good order. */
  stopSignal?: NodeJS.Signals
  /** Sees each line as it is written. */
  onLine?: ((line: string) => void) | undefined
  /** Opens descriptor 4 to the program, sees each line that it writes there, and may answer with another. */
  onReport?: ((line: string, answer: (line: string) => void) => void) | undefined
}

const REMEMBERED_LINES = 200

// Waits for one line before it becomes the program: we send it once the watcher stands. If we die earlier,
// it reads the end of the pipe instead and nothing was started.
const START = `read -r go <&3 || exit 1; exec 3<&-; exec "$@"`

// A line on stdin means that the program has ended, the end of stdin that we have, in whatever way: then the
// program is asked to end, woken with its children in case a test has frozen them, and after ten seconds killed.
const WATCH = `
  read -r ended && exit
  kill -s "$2" "$1" && kill -s CONT "$1" $(cat /proc/$1/task/*/children)
  tries=0
  while kill -s 0 "$1" && [ $tries -lt 50 ]; do tries=$((tries + 1)); sleep 0.2; done
  kill -s KILL "$1"
`

/**
 * Starts a program that ends when this process ends, even by `kill -9`. The kernel closes our pipes when we die,
 * and a shell that does nothing but read one of them then stops the program. This works on every Unix (Linux's
 * own PR_SET_PDEATHSIG asks for a native call), needs no code in the program, and leaves no moment uncovered.
 *
 * The program leads a session of its own, so Ctrl-C in our terminal reaches us alone and we decide the order.
 */
export function spawnTethered(command: string, args: string[], options: TetherOptions): TetheredProcess {
  const { env, cwd, stopSignal = 'SIGTERM', onLine, onReport } = options
  const child = spawn('/bin/sh', ['-c', START, command, command, ...args], {
    cwd,
    env: env as NodeJS.ProcessEnv,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', onReport ? 'pipe' : 'ignore'],
  })
  // A start that fails says so here too, later, and nobody would hear it.
  child.on('error', () => {})
  if (child.pid === undefined) throw new Error(`Could not start ${command}: is ${cwd ?? 'its folder'} there?`)
  const pid = child.pid
  const watcher = spawn('/bin/sh', ['-c', WATCH, 'tether', `${pid}`, stopSignal.slice(3)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.stdin.on('error', () => {})
  const start = child.stdio[3] as Duplex
  start.on('error', () => {})
  start.end('\n')

  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    readLines(stream!, (line) => {
      lines.push(line)
      if (lines.length > REMEMBERED_LINES) lines.shift()
      onLine?.(line)
    })
  }

  if (onReport) {
    const channel = child.stdio[4] as Duplex
    const answer = (line: string): void => void channel.write(`${line}\n`)
    readLines(channel, (line) => onReport(line, answer))
    // It may end before it has read an answer.
    channel.on('error', () => {})
  }

  let isRunning = true
  const exited: TetheredProcess['exited'] = new Promise((resolve) => {
    child.once('exit', () => {
      isRunning = false
      watcher.stdin.end('\n')
    })
    // 'close' comes after 'exit', once the last of the output has been read.
    child.once('close', (code, signal) => resolve({ code, signal }))
  })

  function kill(signal: NodeJS.Signals): void {
    if (isRunning) child.kill(signal)
  }

  async function stop(deadlineMs = 10_000): Promise<void> {
    kill(stopSignal)
    kill('SIGCONT')
    await pollUntil(`${command} (pid ${pid}) has ended`, () => !isRunning, { deadlineMs }).catch(() =>
      kill('SIGKILL'),
    )
    await exited
  }

  return {
    pid,
    exited,
    get isRunning() {
      return isRunning
    },
    output: () => lines.join('\n'),
    kill,
    stop,
    [Symbol.asyncDispose]: () => stop(),
  }
}

/** Tells each line of a stream. Only a line feed ends one: Node's readline also splits at U+2028, which JSON may hold as it is. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine(line.replace(/\r$/, ''))
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}
