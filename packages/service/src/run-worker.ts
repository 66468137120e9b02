import type { FastifyBaseLogger } from 'fastify'
import { createService, type ServiceOptions } from './create-service.ts'
import type { Check } from './readiness.ts'
import { runProcess } from './run-process.ts'

/** Work that has begun. To dispose of it is to take no new jobs and wait for those that run. */
export interface StartedWork extends AsyncDisposable, Partial<Check> {
  /** How many jobs this worker could begin now, if it had time: what workers are scaled by. */
  countWaiting?(): Promise<number>
}

export interface WorkerOptions extends Pick<ServiceOptions, 'name' | 'env' | 'checks'> {
  /**
   * What it returns is disposed of when the process stops. If it has a `check`, that is the check `jobs`. What
   * it counts is the metric `nonstick_queue_waiting`.
   */
  start(log: FastifyBaseLogger): Promise<StartedWork> | StartedWork
}

/**
 * Makes this process a worker: answers the probes on `PORT`, starts its jobs, and on SIGTERM or SIGINT finishes
 * those that run. Resolves when it works; ends the process as `runService` does.
 */
export async function runWorker({ name, env, checks, start }: WorkerOptions): Promise<void> {
  let work: StartedWork | undefined
  const jobs: Check = {
    async check() {
      if (!work) throw new Error('the jobs have not been started yet')
      await work.check?.()
    },
  }
  const measured = {
    nonstick_queue_waiting: {
      help: 'Jobs of this worker that could run now and that nobody runs',
      labels: { worker: name },
      async measure() {
        if (!work?.countWaiting) throw new Error('there is nobody to count them')
        return work.countWaiting()
      },
    },
  }
  const app = createService({ name, env, checks: { ...checks, jobs }, measured })

  // The probes go on answering while the last jobs are finished: such a worker is alive, and not ready.
  await runProcess(app, env, async () => work?.[Symbol.asyncDispose]())
  work = await start(app.log)
}
