import { createService, type Service } from '@repo/service'
import type { Env } from './env.ts'
import { greetingRoutes } from './routes/greeting.ts'

/** The any-name service, in the order it is put together. Read this file first. */
export async function buildApp(env: Env): Promise<Service> {
  const app = createService({ name: 'any-name', env })

  await app.register(greetingRoutes, { prefix: '/api/any-name' })

  return app
}
