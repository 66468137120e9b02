import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { createService, type Service, type ServiceOptions } from './create-service.ts'
import type { Check } from './probes.ts'
import type { ServiceEnv } from './service-env.ts'

/**
 * Makes this process a service: listens, and on SIGTERM or SIGINT stops without losing a request. What the process
 * holds open is closed by the app's `onClose` hooks, which run once the last request is answered.
 *
 * Resolves when it listens. Ends the process with 0 after a stop in good order, with 1 otherwise.
 */
export async function runService(app: Service, env: ServiceEnv): Promise<void> {
  if (env.SHUTDOWN_DEADLINE_MS <= env.DRAIN_MS) {
    app.log.fatal('SHUTDOWN_DEADLINE_MS is not longer than DRAIN_MS, so that no stop could be in good order')
    process.exit(78)
  }
  // For as long as it takes balancers to notice that we are not ready, they go on sending requests.
  await runProcess(app, env, () => sleep(env.DRAIN_MS))
}

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

/**
 * Listens, and owns the end of this process:
 *
 * 1. a signal makes it not ready, while it still serves, each answer with `connection: close`;
 * 2. `drain` is waited for;
 * 3. the app closes: it takes no connection any more, answers what is under way and closes what it holds;
 * 4. exit 0. If that takes longer than the deadline, it says what was open, and exit 1.
 */
async function runProcess(app: Service, env: ServiceEnv, drain: () => PromiseLike<unknown>): Promise<void> {
  let step: 'serving' | 'draining' | 'closing' = 'serving'

  async function stop(signal: NodeJS.Signals): Promise<void> {
    // Platforms send the signal more than once, and the second must not cut short what the first began.
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

  // Browsers and balancers open connections ahead and say nothing on them, and Node would wait for their headers.
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
  // Nobody knows what state the process is in now. A new one is started by whoever started this one.
  process.on('uncaughtException', (err) => {
    app.log.fatal({ err }, 'uncaught exception')
    process.exit(1)
  })
  // A rejection interrupts nothing: its own function has been left in good order, and all that is missing is somebody who
  // awaits it. To end the process for one forgotten `await` would end every other request with it, as often as a store
  // is away or a stranger asks.
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

/** Fastify logs whatever this returns, once for each address, so it may as well be an object. */
function listenTextResolver(address: string): string {
  return { msg: 'listening', port: Number(new URL(address).port), address } as unknown as string
}

/** A process in development is for the machine that it runs on, unless HOST says otherwise. */
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
