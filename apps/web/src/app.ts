import { fileURLToPath } from 'node:url'
import { openUpstreams } from '@repo/calls'
import { createService, type Service } from '@repo/service'
import type { Env } from './env.ts'
import { apiRoutes } from './routes/api.ts'
import { CONTENT_SECURITY_POLICY, pageRoutes } from './routes/page.ts'

const PAGE = fileURLToPath(new URL('../dist/page', import.meta.url))

/** All parts of the edge, in order. Read this file first. */
export async function buildApp(env: Env, { page = PAGE } = {}): Promise<Service> {
  const app = createService({ name: 'web', env, contentSecurityPolicy: CONTENT_SECURITY_POLICY })

  await app.register(pageRoutes, { directory: page })

  const upstreams = await openUpstreams({
    routes: env.UPSTREAMS,
    probeEveryMs: env.UPSTREAM_PROBE_MS,
    timeoutMs: env.UPSTREAM_TIMEOUT_MS,
    log: app.log,
  })
  app.addHook('onClose', () => upstreams[Symbol.asyncDispose]())

  await app.register(apiRoutes, { upstreams })

  return app
}
