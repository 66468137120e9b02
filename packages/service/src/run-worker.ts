import type { FastifyBaseLogger } from 'fastify'
import { createService, type ServiceOptions } from './create-service.ts'
import type { Check } from './readiness.ts'
import { runProcess } from './run-process.ts'

/** Work that has begun. Disposing of it takes no new jobs and waits for those that run. */
export type StartedWork = AsyncDisposable & Partial<Check>

export interface WorkerOptions extends Pick<ServiceOptions, 'name' | 'env' | 'checks'> {
  /** What it returns is disposed of when the process stops, and is the check `jobs` if it has a `check`. */
  start(log: FastifyBaseLogger): Promise<StartedWork> | StartedWork
}

/**
 * Makes this process a worker: starts its jobs, answers the probes on `PORT`, and on SIGTERM or SIGINT finishes
 * the jobs that run. Resolves when it works; ends the process as `runService` does.
 */
export async function runWorker({ name, env, checks, start }: WorkerOptions): Promise<void> {
  let work: StartedWork | undefined
  const jobs: Check = { check: async () => work?.check?.() }

  const app = createService({ name, env, checks: { ...checks, jobs } })
  work = await start(app.log)

  // The probes go on answering meanwhile: a worker that finishes a long job is alive, and not ready.
  await runProcess(app, env, () => work[Symbol.asyncDispose]())
}
