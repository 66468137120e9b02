import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isListening } from '@repo/testing/is-listening'
import { pollUntil } from '@repo/testing/poll-until'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'

/** EX_CONFIG of sysexits.h: the environment is wrong, and stays so however often the process is started. */
const WRONG_ENVIRONMENT = 78
const START_DEADLINE_MS = 20_000
const STOP_DEADLINE_MS = 5000
const BACKOFF_MS = { first: 250, longest: 10_000 }
/** Whoever ran this long has not crashed because it was started again. */
const STEADY_MS = 10_000

/** One numbered place of a process type, as `accounts.2`, and the port it keeps. Processes come and go in it. */
export interface Place {
  readonly name: string
  readonly url: string
  /** Of the process that runs now. */
  readonly pid: number | undefined
  /** Whether that process imports this file, or the attempt to start one did. */
  imports(path: string): boolean
  /**
   * Starts a process in the place of the one that runs, which answers what it has begun and ends.
   *
   * @returns when it is ready nothing, else why it is not, as the end of a sentence that names it
   */
  start(): Promise<string | undefined>
  stop(): Promise<void>
  kill(): void
}

/** What a place runs. */
export interface Program {
  cwd: string
  entry: string
  nodeArgs: string[]
  env: Record<string, string | undefined>
}

export interface PlaceOptions {
  name: string
  port: number
  /** Asked at each start. */
  program(): Program
  onLine(line: string): void
  /** What a process wrote until it was ready. */
  onStart(lines: string[]): void
  /** What a process wrote that did not become ready. */
  onFailure(lines: string[]): void
  /** What happens to it between one start and the next. */
  onTrouble(sentence: string): void
}

const PRELOAD = new URL('./preload.ts', import.meta.url).href

export function openPlace(options: PlaceOptions): Place {
  const { name, port, onLine, onStart, onFailure, onTrouble } = options
  const url = `http://127.0.0.1:${port}`
  const leaving = new Set<NodeProcess>()
  let current: NodeProcess | undefined
  let files = new Set<string>()
  let crashes = 0
  let isMisconfigured = false
  let isStopped = false

  function pid(): number | undefined {
    return current?.pid
  }

  async function start(): Promise<string | undefined> {
    retire()
    // A debugger's port is free once the predecessor has ended.
    if (options.program().nodeArgs.length > 0) await ended()
    return launch()
  }

  async function launch(): Promise<string | undefined> {
    if (isStopped) return undefined
    const seen = new Set<string>()
    const listens = Promise.withResolvers<void>()
    let early: string[] | undefined = []
    const program = options.program()
    const process = await startProcess({
      ...program,
      name,
      nodeArgs: ['--import', PRELOAD, ...program.nodeArgs],
      env: { ...program.env, PROCESS_NAME: name, PORT: `${port}` },
      onLine: (line) => void (early ? early.push(line) : onLine(line)),
      async onReport(report, answer) {
        if (report !== 'listen') return void seen.add(fileURLToPath(report))
        await portIsFree()
        answer('go on')
        listens.resolve()
      },
    })
    current = process
    // Not before: until it listens, whoever answers on its port is its predecessor.
    await Promise.race([listens.promise, process.exited, sleep(START_DEADLINE_MS, null, { ref: false })])
    const isReady = await process.ready.then(
      () => true,
      () => false,
    )
    const lines = early
    early = undefined
    // It has been stopped, or replaced, meanwhile.
    if (current !== process) return undefined
    if (isReady) onStart(lines)
    else onFailure(lines)
    // What a failed start did not get round to importing still counts: the mistake may be in any of it.
    files = isReady ? seen : new Set([...files, ...seen])
    if (process.isRunning) {
      void watchOver(process)
      return isReady ? undefined : `not ready after so long; ${url}/readyz says why.`
    }
    current = undefined
    isMisconfigured = (await process.exited).code === WRONG_ENVIRONMENT
    return isMisconfigured
      ? 'not started, because the environment is wrong, as it says above.'
      : 'not started, for the reason above. Mend it and save.'
  }

  /** Resolves once the predecessor takes no connection any more; it may still answer what it has begun. */
  async function portIsFree(): Promise<void> {
    const isFree = async (): Promise<boolean> => leaving.size === 0 || !(await isListening(url))
    await pollUntil(`${url} is free`, isFree, { everyMs: 5 }).catch(() => {})
  }

  async function watchOver(process: NodeProcess): Promise<void> {
    const startedAt = performance.now()
    const { code, signal } = await process.exited
    if (current !== process) return
    current = undefined
    if (performance.now() - startedAt > STEADY_MS) crashes = 0
    await recover(`crashed (${signal ?? `exit code ${code}`}).`)
  }

  async function recover(what: string): Promise<void> {
    const waitMs = Math.min(BACKOFF_MS.first * 2 ** crashes++, BACKOFF_MS.longest)
    onTrouble(`${name}: ${what} It is started again in ${waitMs / 1000} s.`)
    await sleep(waitMs)
    // Meanwhile an edit may have started it.
    if (current || isStopped) return
    const problem = await launch()
    if (isStopped) return
    if (!problem) onTrouble(`${name}: ready again (pid ${pid()}).`)
    else if (isMisconfigured || pid()) onTrouble(`${name}: ${problem}`)
    else await recover(problem)
  }

  /** Nobody waits for it: it has what it has begun to finish. */
  function retire(): void {
    const process = current
    if (!process) return
    current = undefined
    leaving.add(process)
    void process.stop(STOP_DEADLINE_MS)
    void process.exited.then(() => leaving.delete(process))
  }

  async function ended(): Promise<void> {
    await Promise.all([...leaving].map((process) => process.exited))
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
      retire()
      await ended()
    },
    kill() {
      isStopped = true
      for (const process of [current, ...leaving]) process?.kill('SIGKILL')
    },
  }
}
