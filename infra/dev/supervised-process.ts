import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isListening } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'

/** EX_CONFIG of sysexits.h: the environment is wrong, so another start would fail as well. */
const WRONG_ENVIRONMENT = 78
const START_DEADLINE_MS = 20_000
const STOP_DEADLINE_MS = 5000
const BACKOFF_MS = { first: 250, longest: 10_000 }
/** After a process ran this long, the backoff of its next restart begins at the first value again. */
const STEADY_MS = 10_000

const IS_MISCONFIGURED = 'not started, because the environment is wrong, as it says above.'
const IS_BROKEN = 'not started, for the reason above. Mend it and save.'

/** One process of a process type, as `accounts.2`. A restart replaces it by a new process with the same name and port. */
export interface SupervisedProcess {
  readonly name: string
  readonly url: string
  /** Of the process that serves now; undefined when none does. */
  readonly pid: number | undefined
  /** Whether that process imports this file, or a later attempt to start one did. */
  imports(path: string): boolean
  /**
   * Starts a new process. The old one serves until the new one is about to listen, so a process that cannot be started
   * changes nothing. With a debugger, the old one stops first.
   *
   * @returns undefined once it is ready, else why it is not: the end of a sentence that begins with its name
   */
  start(): Promise<string | undefined>
  stop(): Promise<void>
  kill(): void
}

interface Program {
  cwd: string
  entry: string
  nodeArgs: string[]
  /** Whether `nodeArgs` open the port of a debugger. */
  isInspected?: boolean
  env: Record<string, string | undefined>
}

export interface SupervisedProcessOptions {
  name: string
  port: number
  /** Called at each start. */
  program(): Program
  onLine(line: string): void
  /** Called when a process is ready, with what it wrote until then. */
  onStart(lines: string[]): void
  /** Called when a process did not become ready, with what it wrote. */
  onFailure(lines: string[]): void
  /** Called when a process crashes, and with the result of its restart. */
  onTrouble(sentence: string): void
}

const PRELOAD = new URL('./preload.ts', import.meta.url).href

export function openSupervisedProcess(options: SupervisedProcessOptions): SupervisedProcess {
  const { name, port, onLine, onStart, onFailure, onTrouble } = options
  const url = `http://127.0.0.1:${port}`
  /** The processes that are alive: the one that serves, the old one that drains, the new one that starts. */
  const living = new Set<NodeProcess>()
  let current: NodeProcess | undefined
  let files = new Set<string>()
  let isStarting = false
  let isStopped = false
  let crashes = 0

  async function start(): Promise<string | undefined> {
    isStarting = true
    try {
      return await launch()
    } catch (error) {
      // Its folder may be gone, when the app is retired during a restart of all processes.
      return isStopped ? undefined : `not started. ${(error as Error).message}`
    } finally {
      isStarting = false
    }
  }

  async function launch(): Promise<string | undefined> {
    const program = options.program()
    // The port of a debugger is free only after the old process has stopped.
    if (program.isInspected) await retire()
    if (isStopped) return undefined
    const seen = new Set<string>()
    const listens = Promise.withResolvers<void>()
    let early: string[] | undefined = []
    const process = await startProcess({
      ...program,
      name,
      nodeArgs: ['--import', PRELOAD, ...program.nodeArgs],
      env: { ...program.env, PROCESS_NAME: name, PORT: `${port}` },
      onLine: (line) => void (early ? early.push(line) : onLine(line)),
      async onReport(report, answer) {
        if (report !== 'listen') return void seen.add(fileURLToPath(report))
        if (current !== process) {
          void retire()
          current = process
          await portIsFree()
        }
        answer('go on')
        listens.resolve()
      },
    })
    living.add(process)
    void process.exited.then(() => living.delete(process))
    // Wait for this before `ready`: until the new process listens, the old one answers on its port.
    await Promise.race([listens.promise, process.exited, sleep(START_DEADLINE_MS, null, { ref: false })])
    const isReady = await process.ready.then(
      () => true,
      () => false,
    )
    const lines = early
    early = undefined
    if (isStopped) return undefined
    // A failed start may not have imported all files. The mistake may be in any of them, so the earlier ones count too.
    files = isReady ? seen : new Set([...files, ...seen])
    if (current === process && process.isRunning) void watchOver(process)
    if (isReady) {
      onStart(lines)
      return undefined
    }
    onFailure(lines)
    if (process.isRunning && current === process) return `not ready after so long; ${url}/readyz says why.`
    if (current === process) current = undefined
    await process.stop()
    return (await process.exited).code === WRONG_ENVIRONMENT ? IS_MISCONFIGURED : IS_BROKEN
  }

  /** Resolves once the old process accepts no connection any more. It may still answer requests that it has begun. */
  async function portIsFree(): Promise<void> {
    const isFree = async (): Promise<boolean> => living.size === 1 || !(await isListening(url))
    await pollUntil(`${url} is free`, isFree, { everyMs: 5 }).catch(() => {})
  }

  async function watchOver(process: NodeProcess): Promise<void> {
    const startedAt = performance.now()
    const { code, signal } = await process.exited
    if (current !== process || isStopped) return
    current = undefined
    if (performance.now() - startedAt > STEADY_MS) crashes = 0
    await recover(`crashed (${signal ?? `exit code ${code}`}).`)
  }

  async function recover(what: string): Promise<void> {
    const waitMs = Math.min(BACKOFF_MS.first * 2 ** crashes++, BACKOFF_MS.longest)
    onTrouble(`${name}: ${what} It is started again in ${waitMs / 1000} s.`)
    await sleep(waitMs)
    // Meanwhile an edit may have started it.
    if (current || isStarting || isStopped) return
    const problem = await start()
    if (isStopped) return
    if (!problem) onTrouble(`${name}: ready again (pid ${pid()}).`)
    else if (pid() || problem === IS_MISCONFIGURED) onTrouble(`${name}: ${problem}`)
    else await recover(problem)
  }

  /** Stops the process that serves, which first answers the requests that it has begun. Resolves when it has stopped. */
  async function retire(): Promise<void> {
    const process = current
    current = undefined
    await process?.stop(STOP_DEADLINE_MS)
  }

  function pid(): number | undefined {
    return current?.pid
  }

  return {
    name,
    url,
    get pid() {
      return pid()
    },
    imports: (path) => files.has(path),
    start,
    async stop() {
      isStopped = true
      await Promise.all([...living].map((process) => process.stop(STOP_DEADLINE_MS)))
    },
    kill() {
      isStopped = true
      for (const process of living) process.kill('SIGKILL')
    },
  }
}
