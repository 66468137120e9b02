import createError from '@fastify/error'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'

/** Who may use a route: anybody, or a user who is signed in. */
export type Access = 'public' | 'user'

/** Returns, or resolves, for a request that may use the route. Else it throws what is answered, such as a 401. */
export type AccessCheck = (request: FastifyRequest) => void | Promise<void>

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyInstance {
    /**
     * Has the routes of this scope, and of those inside it, that ask for `access` checked. A plugin that knows who
     * the client is calls it once it has added the hooks that its check depends on: the check is an `onRequest` hook.
     */
    addAccessCheck(access: Exclude<Access, 'public'>, check: AccessCheck): void
  }
}

/** At boot. Every route says who may use it. */
export const RouteAccessMissing = createError(
  'ROUTE_ACCESS_MISSING',
  "These routes do not say who may use them: %s. Give each config: { access: 'public' } or { access: 'user' }.",
  500,
)

/** At boot. A route without a check would be as good as public. */
export const RouteAccessUnchecked = createError(
  'ROUTE_ACCESS_UNCHECKED',
  'Nothing checks who uses these routes: %s. Register the plugin that does, as @repo/session for users, in their scope or around it.',
  500,
)

/**
 * Stops the boot for routes that do not say who may use them, and for those that ask for more than anything checks
 * where they stand: a plugin that is registered in one scope checks nothing in the scope beside it.
 *
 * @throws ROUTE_ACCESS_MISSING, ROUTE_ACCESS_UNCHECKED: from `app.ready()`, naming every such route
 */
export function requireAccess(app: FastifyInstance): void {
  const routes: { scope: FastifyInstance; route: RouteOptions }[] = []
  const checkedIn = new Map<FastifyInstance, Set<unknown>>()

  app.decorate('addAccessCheck', function addAccessCheck(this: FastifyInstance, access, check) {
    checkedIn.set(this, new Set(checkedIn.get(this)).add(access))
    this.addHook('onRequest', function checkAccess(request, _reply, done) {
      if (request.routeOptions.config.access !== access) return done()
      const pending = check(request)
      if (pending) pending.then(() => done(), done)
      else done()
    })
  })

  // Looked at only once the app is whole: a scope may have given its routes their access in an onRoute hook, and a
  // plugin that is registered after a route still checks it.
  app.addHook('onRoute', function noteRoute(route) {
    routes.push({ scope: this, route })
  })
  app.addHook('onReady', async function refuseUnchecked() {
    const silent = routes.filter(({ route }) => !route.config?.access)
    if (silent.length > 0) throw new RouteAccessMissing(silent.map(nameOf).join(', '))
    const unchecked = routes.filter(({ scope, route }) => !isChecked(scope, route.config!.access))
    if (unchecked.length > 0) throw new RouteAccessUnchecked(unchecked.map(nameWithAccess).join(', '))
  })

  function isChecked(scope: FastifyInstance | null, access: unknown): boolean {
    if (access === 'public') return true
    // Fastify makes the instance of a scope from that of the scope around it.
    for (; scope; scope = Object.getPrototypeOf(scope)) if (checkedIn.get(scope)?.has(access)) return true
    return false
  }
}

function nameOf({ route: { method, url } }: { route: RouteOptions }): string {
  return `${[method].flat().join('|')} ${url}`
}

function nameWithAccess(noted: { route: RouteOptions }): string {
  return `${nameOf(noted)} (access: ${JSON.stringify(noted.route.config!.access)})`
}

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
