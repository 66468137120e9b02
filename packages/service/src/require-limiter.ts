import createError from '@fastify/error'
import type { FastifyInstance } from 'fastify'

/** At boot. A limit that nothing counts would be none. */
export const RouteLimitUncounted = createError(
  'ROUTE_LIMIT_UNCOUNTED',
  '%s %s has a config.limit that nothing counts: register `limits` of @repo/limits before it, in its scope or around it.',
  500,
)

/** Stops the boot at a route with a `config.limit` where no plugin counts it. @throws ROUTE_LIMIT_UNCOUNTED */
export function requireLimiter(app: FastifyInstance): void {
  app.addHook('onRoute', function refuseUncounted({ config, method, url }) {
    const { limit } = (config ?? {}) as { limit?: unknown }
    if (limit && !this.hasPlugin('limits')) throw new RouteLimitUncounted([method].flat().join('|'), url)
  })
}
