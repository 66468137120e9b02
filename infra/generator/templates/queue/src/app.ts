import { createService, type Service } from '@repo/service'
import type { Env } from './env.ts'
import type { Resources } from './resources.ts'
import { itemRoutes } from './routes/items.ts'

/** Builds the any-name service, step by step. Read this file first. */
export async function buildApp(env: Env, { database }: Resources): Promise<Service> {
  const app = createService({ name: 'any-name', env, checks: { database } })

  await app.register(itemRoutes, { prefix: '/api/any-name', database })

  return app
}
