import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import pLimit from 'p-limit'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'
import type { ProcessType } from '../../formation.ts'

/** How a process ended that was asked to, and after how long. */
export interface Departure {
  name: string
  code: number | null
  tookMs: number
  /** The last line of its log. */
  lastWords: string
}

/** One replica of a process type, as `accounts.2`, with a port of its own. Each start gives it a new process. */
export interface Replica {
  readonly name: string
  readonly type: ProcessType
  readonly port: number
  readonly pid: number | undefined
  /** Since when the process that runs now has been ready, on the clock of `performance.now()`. */
  readonly readySince: number | undefined
  /** Resolves once it is ready: it begins when a core is free. At once when a process runs here. */
  start(otherwise?: Otherwise): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  /** SIGTERM, and how it ended. */
  stop(): Promise<Departure>
  /** It keeps its connections and answers nothing (SIGSTOP), until `thaw()`. */
  freeze(): void
  thaw(): void
  /** Resident memory; 0 when no process runs. */
  measureMemory(): Promise<number>
}

export type ReplicaEnvironment = Record<string, string | undefined>

/** What is different about one process, until it ends. */
export interface Otherwise {
  /** Over its usual environment. */
  env?: ReplicaEnvironment
  /** A command that becomes the process. */
  via?: readonly string[]
}

export interface ReplicaOptions {
  name: string
  type: ProcessType
  port: number
  cwd: string
  env: ReplicaEnvironment
  nodeArgs: string[]
  graceMs: number
  /** Called when a process ends that nobody has ended. */
  onCrash(sentence: string): void
}

/**
 * A start takes a core for about a second, and a deployment has a dozen processes. Were all of them to start at once on two
 * cores, the others would be too late for their probes, and it would be the machine that broke the promise.
 */
const whenACoreIsFree = pLimit(availableParallelism())

export function openReplica(options: ReplicaOptions): Replica {
  const { name, type, port, cwd, graceMs, onCrash } = options
  let current: NodeProcess | undefined
  let readySince: number | undefined
  /** Those whose end is no crash: we have ended them. */
  const ended = new WeakSet<NodeProcess>()

  /** What was last asked for: whoever waits for a core, and is overtaken by another call, does not start any more. */
  let calls = 0

  async function start(otherwise?: Otherwise): Promise<void> {
    if (current) return
    const call = ++calls
    await whenACoreIsFree(async () => {
      if (!current && call === calls) await launch(otherwise)
    })
  }

  async function launch({ env, via = [] }: Otherwise = {}): Promise<void> {
    const started = await startProcess({
      name,
      cwd,
      entry: type.entry,
      via,
      nodeArgs: options.nodeArgs,
      env: { ...options.env, ...env, PROCESS_NAME: name, PORT: `${port}` },
    })
    current = started
    void started.exited.then(({ code, signal }) => {
      if (ended.has(started)) return
      vacate()
      onCrash(`${name} ended by itself (${signal ?? `exit code ${code}`}):\n${started.output()}`)
    })
    await started.ready.catch((error: unknown) => {
      // Whoever killed it while it started does not want to hear that it did not get ready.
      if (!ended.has(started)) throw error
    })
    if (current === started) readySince = performance.now()
  }

  function vacate(): NodeProcess | undefined {
    const process = current
    current = undefined
    readySince = undefined
    return process
  }

  function dismiss(): NodeProcess | undefined {
    calls++
    const process = vacate()
    if (process) ended.add(process)
    return process
  }

  return {
    name,
    type,
    port,
    get pid() {
      return current?.pid
    },
    get readySince() {
      return readySince
    },
    start,
    async kill() {
      const process = dismiss()
      process?.kill('SIGKILL')
      await process?.exited
    },
    async stop() {
      const process = dismiss()
      const begunAt = performance.now()
      await process?.stop(graceMs)
      const { code } = (await process?.exited) ?? { code: 0 }
      const tookMs = Math.round(performance.now() - begunAt)
      return { name, code, tookMs, lastWords: process?.output().trimEnd().split('\n').at(-1) ?? '' }
    },
    freeze: () => current?.kill('SIGSTOP'),
    thaw: () => current?.kill('SIGCONT'),
    async measureMemory() {
      const status = await readFile(`/proc/${current?.pid}/status`, 'utf8').catch(() => '')
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
    },
  }
}
