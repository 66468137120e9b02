import type { FastifyRequest, RouteOptions } from 'fastify'
import { AccessMissing, SignedOut } from './session-error.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route: anybody, or a person who is signed in. Every route must say. */
    access?: 'public' | 'user'
  }
}

/**
 * Stops the boot at a route that does not say who may use it. The HEAD route that Fastify adds to a GET has the
 * same config, and so the same rule.
 *
 * @throws ROUTE_ACCESS_MISSING
 */
export function requireAccess(route: RouteOptions): void {
  const access = route.config?.access
  if (access !== 'public' && access !== 'user') throw new AccessMissing(String(route.method), route.url)
}

/** @throws SIGNED_OUT */
export function checkAccess(request: FastifyRequest, isSignedIn: boolean): void {
  if (!isSignedIn && request.routeOptions.config?.access === 'user') throw new SignedOut()
}
