import type { Service } from './create-service.ts'
import type { ServiceEnv } from './service-env.ts'

/**
 * Listens, and owns the end of this process:
 *
 * 1. a signal makes it not ready, while it still serves, each answer with `connection: close`;
 * 2. `drain` is waited for;
 * 3. the app closes: it takes no connection any more, answers what is under way and closes what it holds;
 * 4. exit 0. If that takes longer than the deadline, it says what was open, and exit 1.
 */
export async function runProcess(
  app: Service,
  env: ServiceEnv,
  drain: () => PromiseLike<unknown>,
): Promise<void> {
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
