import { type ChildProcess, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'

/** A message from a worker process. `at` is the time in milliseconds on a clock that all processes of the machine share. */
export interface Told {
  event: 'ready' | 'start' | 'end'
  number: number
  at: number
  worker: ChildProcess
}

export interface WorkerProcesses extends AsyncDisposable {
  start(count: number): Promise<void>
  killAll(): Promise<void>
  /** Resolves to the next message that matches, or to undefined after `withinMs` (default 120 s). */
  next(isSo: (told: Told) => boolean, withinMs?: number): Promise<Told | undefined>
}

export function now(): number {
  return performance.timeOrigin + performance.now()
}

export async function kill(worker: ChildProcess): Promise<void> {
  worker.kill('SIGKILL')
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
}

/** Worker processes for the queue of one database. */
export function openWorkerProcesses(engine: string, url: string): WorkerProcesses {
  const told = new EventEmitter<{ told: [Told] }>().setMaxListeners(0)
  const workers: ChildProcess[] = []

  async function next(isSo: (told: Told) => boolean, withinMs = 120_000): Promise<Told | undefined> {
    const inTime = AbortSignal.timeout(withinMs)
    return await new Promise((resolve) => {
      const listen = (one: Told): void => {
        if (isSo(one)) finish(one)
      }
      const finish = (one?: Told): void => {
        told.off('told', listen)
        resolve(one)
      }
      told.on('told', listen)
      inTime.addEventListener('abort', () => finish())
    })
  }

  async function start(count: number): Promise<void> {
    const started = Array.from({ length: count }, async () => {
      const worker = fork(new URL('worker.ts', import.meta.url), [engine, url], { stdio: 'inherit' })
      workers.push(worker)
      worker.on('message', (message: Omit<Told, 'worker'>) => told.emit('told', { ...message, worker }))
      await next((one) => one.worker === worker && one.event === 'ready')
    })
    await Promise.all(started)
  }

  async function killAll(): Promise<void> {
    await Promise.all(workers.splice(0).map(kill))
  }

  return { start, killAll, next, [Symbol.asyncDispose]: killAll }
}
