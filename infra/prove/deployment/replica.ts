import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import pLimit from 'p-limit'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'
import type { ProcessType } from '../../formation.ts'

/** How a process that was stopped ended, and after how many milliseconds. */
export interface Departure {
  name: string
  code: number | null
  tookMs: number
  /** The last line of its log. */
  lastWords: string
}

/** One replica of a process type, such as `accounts.2`, with a port of its own. Each start creates a new process. */
export interface Replica {
  readonly name: string
  readonly type: ProcessType
  readonly port: number
  readonly pid: number | undefined
  /** When the current process became ready: a time of `performance.now()`. */
  readonly readySince: number | undefined
  /** Starts a process as soon as a core is free. Resolves when it is ready, or at once when a process already runs. */
  start(otherwise?: Otherwise): Promise<void>
  /** `kill -9`. */
  kill(): Promise<void>
  /** Sends SIGTERM, and resolves to how the process ended. */
  stop(): Promise<Departure>
  /** SIGSTOP: the process keeps its connections but answers nothing until `thaw()`. */
  freeze(): void
  thaw(): void
  /** Resident memory in bytes; 0 when no process runs. */
  measureMemory(): Promise<number>
}

export type ReplicaEnvironment = Record<string, string | undefined>

/** Differences for one process; the next start does not have them. */
export interface Otherwise {
  /** Variables that override its usual environment. */
  env?: ReplicaEnvironment
  /** A command that runs the program it is given, and becomes that process. */
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
  /** Called when a process ends by itself, with a sentence that contains its output. */
  onCrash(sentence: string): void
}

/**
 * A start takes a core for about a second, and a deployment has a dozen processes. If all started at once on two cores,
 * running processes would answer their probes late, and a row would fail because of the machine.
 */
const whenACoreIsFree = pLimit(availableParallelism())

export function openReplica(options: ReplicaOptions): Replica {
  const { name, type, port, cwd, graceMs, onCrash } = options
  let current: NodeProcess | undefined
  let readySince: number | undefined
  /** Processes that we killed or stopped: their end is not a crash. */
  const ended = new WeakSet<NodeProcess>()

  /** Number of the latest call. A start that waits for a core is dropped when a later call has come. */
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
      // When it was killed or stopped during its start, it is no error that it is not ready.
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
