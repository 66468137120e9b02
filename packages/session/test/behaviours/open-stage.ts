import { fileURLToPath } from 'node:url'
import { startProcess } from '@repo/testing'
import type { Stage, StoreUnderTest } from './index.ts'

const SERVER = 'test/behaviours/behaviour-server.ts'
const secrets = ['a secret of at least thirty-two characters']

/** Starts two processes on a store, and more on demand: of this package, or of the server in `entry`. */
export async function openStage(
  store: StoreUnderTest,
  entry = SERVER,
  variant: Record<string, string> = {},
): Promise<Stage & AsyncDisposable> {
  await using starting = new AsyncDisposableStack()

  const start: Stage['start'] = async (env = {}, { whetherReady = true } = {}) => {
    const running = await startProcess({
      name: `session on ${store.name}`,
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      entry,
      env: {
        NODE_ENV: 'production',
        SESSION_STORE_URL: store.url,
        SESSION_SECRETS: secrets.join(','),
        SESSION_IDLE_MS: '60000',
        SESSION_ABSOLUTE_MS: '600000',
        ...variant,
        ...env,
      },
    })
    if (whetherReady) await running.ready
    return Object.assign(Object.create(running) as typeof running, {
      async kill() {
        running.kill('SIGKILL')
        await running.exited
      },
      async stop() {
        const started = performance.now()
        await running.stop(20_000)
        return { tookMs: performance.now() - started, code: (await running.exited).code }
      },
    })
  }

  const a = starting.use(await start())
  const b = starting.use(await start())
  const resources = starting.move()
  return { store, a, b, start, secrets, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}
