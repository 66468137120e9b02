import { spawn } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'
import { pollUntil } from './poll-until.ts'

/** An operating-system process that cannot outlive this one. */
export interface TetheredProcess extends AsyncDisposable {
  readonly pid: number
  /** Resolves to the exit code or signal. Never rejects. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly isRunning: boolean
  /** The last 200 lines of its output, for error messages. */
  output(): string
  /** Sends a signal. Does nothing when it has ended. */
  kill(signal: NodeJS.Signals): void
  /** Sends its `stopSignal` and SIGCONT (it may be frozen), and SIGKILL after `deadlineMs`. Default 10 000. */
  stop(deadlineMs?: number): Promise<void>
}

export interface TetherOptions {
  env: Record<string, string | undefined>
  cwd?: string | undefined
  /** The signal for an orderly stop. Default SIGTERM. */
  stopSignal?: NodeJS.Signals
  /** Gets each line of its output as it is written. */
  onLine?: ((line: string) => void) | undefined
  /** Opens descriptor 4 to the program. Gets each line that the program writes there, and may answer with a line. */
  onReport?: ((line: string, answer: (line: string) => void) => void) | undefined
}

const REMEMBERED_LINES = 200

// Waits for one line before it becomes the program. This process sends the line when the watcher runs. If it dies earlier,
// the shell reads the end of the pipe and starts nothing.
const START = `read -r go <&3 || exit 1; exec 3<&-; exec "$@"`

// A line on stdin means that the program has ended. The end of stdin means that this process has ended. Then the program
// gets its stop signal, SIGCONT with its children (a test may have frozen them), and SIGKILL after ten seconds.
const WATCH = `
  read -r ended && exit
  kill -s "$2" "$1" && kill -s CONT "$1" $(cat /proc/$1/task/*/children)
  tries=0
  while kill -s 0 "$1" && [ $tries -lt 50 ]; do tries=$((tries + 1)); sleep 0.2; done
  kill -s KILL "$1"
`

/**
 * Starts a program that stops when this process ends, even by `kill -9`. The kernel closes the pipes of a dead process, and
 * a shell that only reads one of them then stops the program. This works on every Unix (Linux's PR_SET_PDEATHSIG needs a
 * native call), needs no code in the program, and has no gap in time.
 *
 * The program has its own session, so Ctrl-C in the terminal reaches only this process, which decides the order of stops.
 */
export function spawnTethered(command: string, args: string[], options: TetherOptions): TetheredProcess {
  const { env, cwd, stopSignal = 'SIGTERM', onLine, onReport } = options
  const child = spawn('/bin/sh', ['-c', START, command, command, ...args], {
    cwd,
    env: env as NodeJS.ProcessEnv,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', onReport ? 'pipe' : 'ignore'],
  })
  // A failed start also emits this event, later. Without a listener it would end this process.
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
    // The program may end before it has read an answer.
    channel.on('error', () => {})
  }

  let isRunning = true
  const exited: TetheredProcess['exited'] = new Promise((resolve) => {
    child.once('exit', () => {
      isRunning = false
      watcher.stdin.end('\n')
    })
    // 'close' comes after 'exit', when all output has been read.
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

/** Calls `onLine` with each line of a stream. Only a line feed ends one: readline also splits at U+2028, which may be in JSON. */
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
