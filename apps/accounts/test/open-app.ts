import { randomBytes } from 'node:crypto'
import { parseEnv } from '@repo/config'
import type { Service } from '@repo/service'
import { createDatabase, sessionStoreUrl } from '@repo/testing'
import { buildApp } from '../src/app.ts'
import type { Origin } from '../src/domain/security-events.ts'
import { envSchema, type Env } from '../src/env.ts'
import { openResources, type Resources } from '../src/resources.ts'

/** Where a test comes from, when it calls the domain without a request. */
export const newOrigin = (): Origin => ({ network: '198.51.100.1', userAgent: 'a test', noted: [] })

export interface OpenApp extends AsyncDisposable {
  app: Service
  env: Env
  resources: Resources
  /** The same service on the same stores, as a second process would be, with some resources replaced. */
  again(replaced: Partial<Resources>): Promise<Service>
}

/** The service of one process, on a database of its own. It does not listen. No worker runs. */
export async function openApp(): Promise<OpenApp> {
  const opened = new AsyncDisposableStack()
  const { url } = opened.use(await createDatabase('accounts'))
  const env = parseEnv(envSchema, {
    NODE_ENV: 'test',
    PORT: '0',
    LOG_LEVEL: 'silent',
    PUBLIC_ORIGIN: 'http://localhost',
    DATABASE_URL: url,
    SESSION_STORE_URL: await sessionStoreUrl(),
    SESSION_SECRETS: randomBytes(32).toString('base64url'),
  })
  const resources = opened.use(await openResources(env))
  const build = async (replaced: Partial<Resources> = {}): Promise<Service> => {
    const app = await buildApp(env, { ...resources, ...replaced })
    opened.defer(() => app.close())
    return app
  }
  return {
    app: await build(),
    env,
    resources,
    again: build,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** The cookies that an answer sets, by name. */
export function cookiesOf({
  cookies,
}: {
  cookies: { name: string; value: string }[]
}): Record<string, string> {
  return Object.fromEntries(cookies.map(({ name, value }) => [name, value]))
}
