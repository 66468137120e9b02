import { resolve } from 'node:path'
import { request } from 'undici'
import { freePort } from './ports.ts'
import { pollUntil } from './poll-until.ts'
import { spawnTethered, type TetheredProcess } from './spawn-tethered.ts'

export interface ProcessOptions {
  /** For messages, as `accounts.2`. */
  name: string
  /** The folder it runs in. */
  cwd: string
  /** Its TypeScript entry, from `cwd` on. */
  entry: string
  /**
   * Its whole environment: of ours nothing is passed on but where Node keeps what it has compiled (NODE_COMPILE_CACHE), with
   * which a process starts in two thirds of the time. PORT and HOST are added when they are missing.
   */
  env: Record<string, string | undefined>
  /** A command that runs the program it is given, as `['nice', '-n', '5']`: it must become that program, not stay its parent. */
  via?: readonly string[]
  /** Options of Node itself, as `['--inspect=9230']`. */
  nodeArgs?: string[]
  /** Sees each line as it is written. */
  onLine?: ((line: string) => void) | undefined
  /** Opens descriptor 4 to it, sees each line that it writes there, and may answer with another. */
  onReport?: ((line: string, answer: (line: string) => void) => void) | undefined
}

/** One process of an app. */
export interface NodeProcess extends TetheredProcess {
  readonly name: string
  readonly port: number
  readonly url: string
  /** Resolves once `/readyz` is 200; rejects when the process ends first, or after 20 s, with its last output. */
  readonly ready: Promise<void>
}

const READY_DEADLINE_MS = 20_000

/** Runs one process on the Node that runs us. Resolves when it is started, which is before it is `ready`. */
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
    // Asked only when somebody waits: a release process, which ends by itself, is never asked.
    ready: { get: () => (ready ??= awaitReady()) },
  }) as NodeProcess
}
