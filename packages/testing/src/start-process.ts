import { resolve } from 'node:path'
import { request } from 'undici'
import { freePort } from './ports.ts'
import { pollUntil } from './poll-until.ts'
import { spawnTethered, type TetheredProcess } from './spawn-tethered.ts'

export interface ProcessOptions {
  /** For messages, for example `accounts.2`. */
  name: string
  /** Its working directory. */
  cwd: string
  /** Its TypeScript entry, relative to `cwd`. */
  entry: string
  /**
   * Its whole environment. Of this process's own only NODE_COMPILE_CACHE is passed on, with which a process starts in two
   * thirds of the time. PORT and HOST are added when they are missing.
   */
  env: Record<string, string | undefined>
  /** A command that runs the program, such as `['nice', '-n', '5']`. It must become the program (exec), not its parent. */
  via?: readonly string[]
  /** Options of Node itself, such as `['--inspect=9230']`. */
  nodeArgs?: string[]
  /** Gets each line of its output as it is written. */
  onLine?: ((line: string) => void) | undefined
  /** Opens descriptor 4 to it. Gets each line that it writes there, and may answer with a line. */
  onReport?: ((line: string, answer: (line: string) => void) => void) | undefined
}

/** One process of an app. */
export interface NodeProcess extends TetheredProcess {
  readonly name: string
  readonly port: number
  readonly url: string
  /** Resolves when `/readyz` is 200. Rejects with its last output when the process ends first, or after 20 s. */
  readonly ready: Promise<void>
}

const READY_DEADLINE_MS = 20_000

/** Starts one process on the same Node. Resolves when it is started, which is before it is `ready`. */
export async function startProcess(options: ProcessOptions): Promise<NodeProcess> {
  const { name, cwd, entry, via = [], nodeArgs = [], onLine, onReport } = options
  const port = Number(options.env.PORT ?? (await freePort()))
  const url = `http://127.0.0.1:${port}`
  const [command, ...args] = [...via, process.execPath, ...nodeArgs, resolve(cwd, entry)]
  const running = spawnTethered(command!, args, {
    cwd,
    env: {
      HOST: '127.0.0.1',
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      ...options.env,
      PORT: `${port}`,
    },
    onLine,
    onReport,
  })
  let ready: Promise<void> | undefined

  async function awaitReady(): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      if (!running.isRunning) return true
      const { statusCode, body } = await request(`${url}/readyz`, { headersTimeout: 1000, reset: true })
      await body.dump()
      return statusCode === 200
    }
    const failure = await pollUntil(`${name} is ready`, isReady, { deadlineMs: READY_DEADLINE_MS }).catch(
      (error: Error) => error.message,
    )
    if (!running.isRunning) {
      const { code, signal } = await running.exited
      throw new Error(
        `${name} ended with ${signal ?? `code ${code}`} before it was ready:\n${running.output()}`,
      )
    }
    if (failure) throw new Error(`${failure}. Its last output:\n${running.output()}`)
  }

  return Object.defineProperties(running, {
    name: { value: name },
    port: { value: port },
    url: { value: url },
    // Polls only if `ready` is used: a release process ends by itself and is never ready.
    ready: { get: () => (ready ??= awaitReady()) },
  }) as NodeProcess
}
