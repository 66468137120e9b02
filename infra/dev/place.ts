import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isListening } from '@repo/testing/is-listening'
import { pollUntil } from '@repo/testing/poll-until'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'

/** EX_CONFIG of sysexits.h: the environment is wrong, and stays so however often the process is started. */
const WRONG_ENVIRONMENT = 78
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
   * @returns when it is ready nothing, else why it is not
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
  /** What happened to it between one start and the next. */
  onTrouble(sentence: string): void
}

const PRELOAD = new URL('./preload.ts', import.meta.url).href

export function openPlace(options: PlaceOptions): Place {
  const { name, port, onLine, onTrouble } = options
  const url = `http://127.0.0.1:${port}`
  const leaving = new Set<NodeProcess>()
  let current: NodeProcess | undefined
  let files = new Set<string>()
  let crashes = 0
  let isMisconfigured = false
  let isStopped = false

  async function start(): Promise<string | undefined> {
    retire()
    return launch()
  }

  async function launch(): Promise<string | undefined> {
    // A successor is started while its predecessor drains, which saves that time. Once in a while it comes too soon
    // and finds the port taken: what it says is shown when it turns out that it did not.
    let held: string[] | undefined = leaving.size > 0 ? [] : undefined
    const seen = new Set<string>()
    const program = options.program()
    const process = await startProcess({
      ...program,
      name,
      nodeArgs: ['--import', PRELOAD, ...program.nodeArgs],
      env: { ...program.env, PROCESS_NAME: name, PORT: `${port}` },
      onLine: (line) => void (held ? held.push(line) : onLine(line)),
      onReport: (file) => seen.add(fileURLToPath(file)),
    })
    current = process
    const isReady = await process.ready.then(
      () => true,
      () => false,
    )
    if (!isReady && held?.some((line) => line.includes('EADDRINUSE'))) {
      await pollUntil(`${url} is free`, async () => !(await isListening(url)))
      return launch()
    }
    for (const line of held ?? []) onLine(line)
    held = undefined
    if (isReady) {
      files = seen
      void watchOver(process)
      return undefined
    }
    // What a failed start did not get round to importing still counts: the mistake may be in any of it.
    files = new Set([...files, ...seen])
    if (process.isRunning) return `${name} is not ready after 20 s: ${url}/readyz says why.`
    if (current === process) current = undefined
    isMisconfigured = (await process.exited).code === WRONG_ENVIRONMENT
    if (isMisconfigured) return `${name} does not start: its environment is wrong, as it says above.`
    return `${name} does not start, as it says above. Mend it and save.`
  }

  async function watchOver(process: NodeProcess): Promise<void> {
    const startedAt = performance.now()
    const { code, signal } = await process.exited
    if (current !== process) return
    current = undefined
    if (performance.now() - startedAt > STEADY_MS) crashes = 0
    await recover(`${name} crashed (${signal ?? `exit code ${code}`}).`)
  }

  async function recover(what: string): Promise<void> {
    const waitMs = Math.min(BACKOFF_MS.first * 2 ** crashes++, BACKOFF_MS.longest)
    onTrouble(`${what} It is started again in ${waitMs / 1000} s.`)
    await sleep(waitMs)
    // Meanwhile an edit may have started it.
    if (current || isStopped) return
    const problem = await launch()
    if (!problem || current || isStopped) return
    if (isMisconfigured) onTrouble(problem)
    else await recover(problem)
  }

  /** Nobody waits for it: it has what it has begun to finish. */
  function retire(): void {
    const process = current
    if (!process) return
    current = undefined
    leaving.add(process)
    void process.stop(STOP_DEADLINE_MS).then(() => leaving.delete(process))
  }

  return {
    name,
    url,
    get pid() {
      return current?.pid
    },
    imports: (path) => files.has(path),
    start,
    async stop() {
      isStopped = true
      retire()
      await Promise.all([...leaving].map((process) => process.exited))
    },
    kill() {
      isStopped = true
      for (const process of [current, ...leaving]) process?.kill('SIGKILL')
    },
  }
}
