import { setTimeout as sleep } from 'node:timers/promises'
import type { Service } from './create-service.ts'
import { runProcess } from './run-process.ts'
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
