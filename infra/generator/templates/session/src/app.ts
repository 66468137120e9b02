import { createService, type Service } from '@repo/service'
import { session } from '@repo/session'
import type { Env } from './env.ts'
import type { Resources } from './resources.ts'
import { greetingRoutes } from './routes/greeting.ts'

/** Builds the any-name service, step by step. Read this file first. */
export async function buildApp(env: Env, { sessions }: Resources): Promise<Service> {
  const app = createService({ name: 'any-name', env, checks: { sessions } })

  await app.register(session, {
    store: sessions,
    secrets: env.SESSION_SECRETS,
    origin: env.PUBLIC_ORIGIN,
    idleMs: env.SESSION_IDLE_MS,
    absoluteMs: env.SESSION_ABSOLUTE_MS,
    maxPerUser: env.SESSION_MAX_PER_USER,
  })
  await app.register(greetingRoutes, { prefix: '/api/any-name' })

  return app
}
