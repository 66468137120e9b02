import type { ProcessType } from '../../formation.ts'
import { WHO_AM_I } from '../../prove/load/person.ts'
import type { Ground } from './ground.ts'
import { mistakesThatRun, withMain } from './planted-images.ts'
import { rollingRestarts, type RollingOptions } from './rolling-restarts.ts'
import { planted, type Check } from './run-checks.ts'
import { verifyRelease, verifyRun, verifyWithoutStores } from './verify-run.ts'

const LEAST_REQUESTS = 100_000

/** Checks of running images, also behind a load balancer. */
export function runningChecks(ground: Ground): Check[] {
  const { formation } = ground
  const { release, running } = formation
  const victim = running.find(({ needs }) => needs.includes('session')) ?? running[0]!
  const secrets = async (): Promise<readonly string[]> => (await ground.stores()).secretValues
  const routed = running.filter(({ route }) => route !== undefined)
  let requests = 0

  async function roll(
    type: ProcessType,
    options: Pick<RollingOptions, 'layer' | 'requests'>,
    environment: Record<string, string> = {},
  ): Promise<string> {
    await ground.release()
    const restarted = await rollingRestarts(
      await ground.image(type),
      { ...(await ground.environment(type)), ...environment },
      {
        path: pathOf(type),
        cookie: (await ground.person())?.cookie,
        memoryMiB: type.memoryMiB,
        ...options,
      },
    )
    const { restarts, cpuMsPerRequest, mostMiB } = restarted
    requests += restarted.requests
    return `0 failed of ${restarted.requests}, ${restarts} restarts; ${cpuMsPerRequest.toFixed(2)} ms of the processor a request, ${mostMiB} MiB of ${type.memoryMiB} at most`
  }

  return [
    {
      name: `${release.map(({ name }) => name).join(', ')} releases, and changes nothing when it is repeated`,
      run: () => ground.release(),
    },
    ...release.map((type) =>
      planted(`a release that does its work again: ${type.name}`, /it ended with 0/, async () => {
        const image = await ground.plant(type, withMain(`console.log('applied')`))
        await verifyRelease(image, await ground.environment(type), type)
      }),
    ),
    ...running.map((type): Check => {
      return {
        name: `${type.name} runs as process 1, without root, on files that it cannot write to`,
        async run() {
          await ground.release()
          return verifyRun(await ground.image(type), await ground.environment(type), await secrets(), type)
        },
      }
    }),
    ...running
      .filter(({ needs }) => needs.length > 0)
      .map((type): Check => {
        return {
          name: `${type.name} lives without its stores, and shows nobody its secrets`,
          run: async () =>
            verifyWithoutStores(await ground.image(type), await ground.environment(type), await secrets()),
        }
      }),
    planted('a container that ends without its stores', /it ended with 1/, async () => {
      const image = await ground.plant(
        victim,
        withMain(`import { connect } from 'node:net'
const { hostname, port } = new URL(process.env.DATABASE_URL)
connect(port, hostname).on('error', () => process.exit(1))
await import('./server.js')`),
      )
      await verifyWithoutStores(image, await ground.environment(victim), await secrets())
    }),
    ...mistakesThatRun.map((mistake) =>
      planted(`a container with ${mistake.what}`, mistake.expected, async () => {
        await ground.release()
        const image = await ground.plant(victim, mistake)
        await verifyRun(image, await ground.environment(victim), await secrets(), {
          ...victim,
          graceMs: 8000,
        })
      }),
    ),
    planted('a container without one of its secrets', /SESSION_SECRETS/, async () => {
      const { SESSION_SECRETS: _, ...rest } = await ground.environment(victim)
      await verifyRun(await ground.image(victim), rest, await secrets(), victim)
    }),
    // Not workers: only the platform sends them requests. They could lose jobs, which their apps check.
    ...routed.flatMap((type) =>
      (['http', 'tcp'] as const).map((layer): Check => {
        return {
          name: `${type.name} loses no request while its processes are restarted behind HAProxy (${layer})`,
          run: () => roll(type, { layer }),
        }
      }),
    ),
    {
      name: `rolling restarts lost nothing of ${LEAST_REQUESTS} requests or more`,
      async run() {
        if (requests < LEAST_REQUESTS) throw new Error(`there were only ${requests}`)
        return `${requests}`
      },
    },
    // With TCP, where a failed connection is not retried.
    planted('a drain shorter than the lag of HAProxy', /failed of/, () =>
      roll(victim, { layer: 'tcp', requests: 6000 }, { DRAIN_MS: '0' }),
    ),
  ]
}

/** A path of the app. It reads the session store if the app uses it. */
function pathOf({ route = '/' }: ProcessType): string {
  return WHO_AM_I.startsWith(`${route}/`) ? WHO_AM_I : route
}
