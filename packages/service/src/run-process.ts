import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { createService, type Service, type ServiceOptions } from './create-service.ts'
import type { Check } from './probes.ts'
import type { ServiceEnv } from './service-env.ts'

/**
 * Makes this process a service: it listens, and on SIGTERM or SIGINT stops without losing a request. The app's `onClose`
 * hooks close its resources after the last request is answered.
 *
 * Resolves when it listens. The exit code is 0 after an orderly stop, 78 if the drain is not shorter than the shutdown
 * deadline, and 1 otherwise.
 */
export async function runService(app: Service, env: ServiceEnv): Promise<void> {
  if (env.SHUTDOWN_DEADLINE_MS <= env.DRAIN_MS) {
    app.log.fatal('SHUTDOWN_DEADLINE_MS is not longer than DRAIN_MS, so that no stop could be in good order')
    process.exit(78)
  }
  // Load balancers send requests until they notice that this process is not ready.
  await runProcess(app, env, () => sleep(env.DRAIN_MS))
}

/** Running work. Its disposal takes no new jobs and waits for those that run. */
interface StartedWork extends AsyncDisposable, Partial<Check> {
  /** The number of jobs that could start now. Workers are scaled by it. */
  countWaiting?(): Promise<number>
}

export interface WorkerOptions extends Pick<ServiceOptions, 'name' | 'env' | 'checks'> {
  /**
   * Its result is disposed of when the process stops. The result's `check`, if any, is part of the check `jobs`, and
   * `countWaiting` is the metric `nonstick_queue_waiting`.
   */
  start(log: FastifyBaseLogger): Promise<StartedWork> | StartedWork
}

/**
 * Makes this process a worker: it answers the probes on `PORT`, starts its jobs, and on SIGTERM or SIGINT finishes the
 * running ones. Resolves when the work has started. The exit code is 0 after an orderly stop, and 1 otherwise.
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

  // The probes still answer while the last jobs run: the worker is alive, and not ready.
  await runProcess(app, env, async () => work?.[Symbol.asyncDispose]())
  work = await start(app.log)
}

/**
 * Listens, and stops this process:
 *
 * 1. After a signal it is not ready. It still serves, each answer with `connection: close`.
 * 2. It waits for `drain`.
 * 3. The app closes: it accepts no connection, answers the requests in progress, and closes its resources.
 * 4. The exit code is 0. If all this takes longer than the deadline, it logs what is open, and the exit code is 1.
 */
async function runProcess(app: Service, env: ServiceEnv, drain: () => PromiseLike<unknown>): Promise<void> {
  let step: 'serving' | 'draining' | 'closing' = 'serving'

  async function stop(signal: NodeJS.Signals): Promise<void> {
    // Platforms may send the signal more than once. Only the first one counts.
    if (step !== 'serving') return
    step = 'draining'
    app.log.info({ signal }, 'stopping')
    setTimeout(giveUp, env.SHUTDOWN_DEADLINE_MS)
    try {
      app.lifecycle.drain()
      await drain()
      step = 'closing'
      setInterval(sweepConnections, 50)
      await app.close()
    } catch (err) {
      app.log.fatal({ err }, 'could not stop in good order')
      process.exit(1)
    }
    app.log.info('stopped')
    process.exit(0)
  }

  // Browsers and load balancers open connections in advance. Node would wait for their first headers.
  function sweepConnections(): void {
    if (app.lifecycle.listOpen().length === 0) app.server.closeAllConnections()
  }

  function giveUp(): void {
    const open = {
      requests: app.lifecycle.listOpen(),
      resources: countEach(process.getActiveResourcesInfo()),
    }
    app.log.fatal({ step, open }, `gave up after ${env.SHUTDOWN_DEADLINE_MS} ms, with this still open`)
    process.exit(1)
  }

  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  // The state of the process is now unknown. The platform starts a new one.
  process.on('uncaughtException', (err) => {
    app.log.fatal({ err }, 'uncaught exception')
    process.exit(1)
  })
  // A rejection interrupts no other function: only an `await` is missing. If it ended the process, one forgotten `await`
  // would end all other requests, as often as a store is away or an attacker sends the request.
  process.on('unhandledRejection', (err) => {
    app.log.error({ err }, 'unhandled rejection: a promise that nobody awaited')
  })

  try {
    await app.listen({ port: env.PORT, host: hostOf(env), listenTextResolver })
  } catch (err) {
    if (step !== 'serving') return
    app.log.fatal(...explain(err, env))
    process.exit(1)
  }
}

/** Fastify logs the result, once for each address, so it may be an object. */
function listenTextResolver(address: string): string {
  return { msg: 'listening', port: Number(new URL(address).port), address } as unknown as string
}

/** In development a process listens only on its own machine, unless HOST is set. */
function hostOf({ HOST, NODE_ENV }: ServiceEnv): string {
  return HOST ?? (NODE_ENV === 'development' ? '127.0.0.1' : '0.0.0.0')
}

function explain(err: unknown, env: ServiceEnv): [object, string] {
  const { PORT } = env
  switch ((err as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return [{}, `port ${PORT} is taken: end the process that listens there, or set PORT to a free one`]
    case 'EACCES':
      return [{}, `this process may not listen on port ${PORT}: set PORT to one above 1023`]
    case 'EADDRNOTAVAIL':
      return [{}, `this machine does not have the address ${hostOf(env)}: set HOST to one that it has`]
    default:
      return [{ err }, 'could not start']
  }
}

function countEach(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
