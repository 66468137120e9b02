import { createService, type Service } from '@repo/service'
import type { Env } from './env.ts'
import { greetingRoutes } from './routes/greeting.ts'

/** Builds the any-name service, step by step. Read this file first. */
export async function buildApp(env: Env): Promise<Service> {
  const app = createService({ name: 'any-name', env })

  await app.register(greetingRoutes, { prefix: '/api/any-name' })

  return app
}
