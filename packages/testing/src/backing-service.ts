import { readdir, readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { pollUntil } from './poll-until.ts'
import type { TetheredProcess } from './spawn-tethered.ts'

/** A real server on loopback, with the faults that may happen to one. */
export interface BackingService extends AsyncDisposable {
  readonly url: string
  /** The pid of the present process. It changes with `restart()`. */
  readonly pid: number
  /** Stops it in an orderly way. Its data stays for `restart()`. */
  stop(): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  /** Until `thaw()` it keeps its connections and answers nothing (SIGSTOP). */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Starts it again with the same port and data. Resolves when it answers. */
  restart(): Promise<void>
}

interface Recipe {
  url: string
  /** Starts the server process. Called again for each restart. */
  launch(): TetheredProcess | Promise<TetheredProcess>
  /** Resolves when the server answers, rejects when it does not. */
  check(): Promise<void>
  /** Resources of the server, disposed of after it has stopped. */
  resources: AsyncDisposableStack
}

/** Runs one server process as a backing service. */
export async function runBackingService({ url, launch, check, resources }: Recipe): Promise<BackingService> {
  let server = await launchAndWait().catch(async (error: unknown) => {
    await resources.disposeAsync()
    throw error
  })

  async function launchAndWait(): Promise<TetheredProcess> {
    const launched = await launch()
    const isUp = async (): Promise<boolean> => {
      if (launched.isRunning) await check()
      return true
    }
    try {
      await pollUntil(`${url} answers`, isUp, { deadlineMs: 30_000 })
      if (!launched.isRunning) throw new Error(`The server of ${url} ended at once`)
      return launched
    } catch (cause) {
      await launched.stop()
      const { message, cause: why } = cause as Error
      const reason = why instanceof Error ? ` (${why.message})` : ''
      throw new Error(`${message}${reason}. Its last words:\n${launched.output()}`, { cause })
    }
  }

  async function signalAll(signal: NodeJS.Signals): Promise<void> {
    // The parent first, so that it cannot start another child in between.
    server.kill(signal)
    for (const pid of await childrenOf(server.pid)) send(pid, signal)
  }

  async function kill(): Promise<void> {
    // Listed first, because a dead parent has no children. Frozen children would never notice its death.
    const children = await childrenOf(server.pid)
    server.kill('SIGKILL')
    for (const pid of children) send(pid, 'SIGKILL')
    await server.exited
  }

  async function stop(): Promise<void> {
    if (server.isRunning) await signalAll('SIGCONT')
    await server.stop()
  }

  return {
    url,
    get pid() {
      return server.pid
    },
    stop,
    kill,
    async freeze() {
      await signalAll('SIGSTOP')
      await pollUntil(`${url} is frozen`, () => isFrozen(server.pid), { everyMs: 5 })
    },
    thaw: () => signalAll('SIGCONT'),
    async restart() {
      await stop()
      server = await launchAndWait()
    },
    async [Symbol.asyncDispose]() {
      await stop()
      await resources.disposeAsync()
    },
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has just stopped by itself.
  }
}

/** Whether each thread has stopped, because a signal takes effect later than it is sent. Always true except on Linux. */
async function isFrozen(pid: number): Promise<boolean> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  const states = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => '')),
  )
  // The state is the third field. The second is in parentheses and may contain any text: proc_pid_stat(5).
  return states.every((stat) => /^T|^$/.test(stat.slice(stat.lastIndexOf(')') + 2)))
}

/** Postgres has a process for each connection, which would still answer if only the parent were frozen. */
async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return list.split(' ').filter(Boolean).map(Number)
}

/**
 * Sends one line to a line-based server (such as Redis with inline commands). Resolves with the match when the answer
 * matches `expected`. Rejects when the server closes the connection, or has not sent such an answer within a second.
 */
export async function expectAnswer(port: number, line: string, expected: RegExp): Promise<RegExpMatchArray> {
  const socket = connect(port, '127.0.0.1')
  const deadline = setTimeout(
    () => socket.destroy(new Error(`${line} was not answered within 1000 ms`)),
    1000,
  )
  try {
    socket.write(`${line}\r\n`)
    let answer = ''
    for await (const chunk of socket) {
      answer += String(chunk)
      const match = answer.match(expected)
      if (match) return match
      // Redis's errors begin so. Anything else may be the beginning of the expected answer.
      if (answer.startsWith('-')) throw new Error(`${line} was answered ${answer.trim()}`)
    }
    throw new Error(`${line} was answered ${answer.trim() || 'with nothing'}`)
  } finally {
    clearTimeout(deadline)
    socket.destroy()
  }
}
