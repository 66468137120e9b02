import { createService, type Service } from '@repo/service'
import { session } from '@repo/session'
import { quotaOf, type ServerEnv } from './env.ts'
import type { Resources } from './resources.ts'
import { bookmarkRoutes } from './routes/bookmarks.ts'
import { exportRoutes } from './routes/export.ts'
import { importRoutes } from './routes/imports.ts'
import { searchRoutes } from './routes/searches.ts'

/** All parts of the bookmarks service, in order. Read this file first. */
export async function buildApp(env: ServerEnv, { database, sessions }: Resources): Promise<Service> {
  const app = createService({ name: 'bookmarks', env, checks: { database, sessions } })

  await app.register(session, {
    store: sessions,
    secrets: env.SESSION_SECRETS,
    origin: env.PUBLIC_ORIGIN,
    idleMs: env.SESSION_IDLE_MS,
    absoluteMs: env.SESSION_ABSOLUTE_MS,
    maxPerUser: env.SESSION_MAX_PER_USER,
  })
  await app.register(bookmarkRoutes, { prefix: '/api/bookmarks', database, quota: quotaOf(env) })
  await app.register(searchRoutes, { prefix: '/api/bookmarks/searches' })
  await app.register(exportRoutes, { prefix: '/api/bookmarks/export', database })
  await app.register(importRoutes, {
    prefix: '/api/bookmarks/imports',
    database,
    maxBytes: env.IMPORT_MAX_BYTES,
    maxInFlight: env.IMPORTS_MAX_IN_FLIGHT,
  })

  return app
}
