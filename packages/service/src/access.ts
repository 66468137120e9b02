import createError from '@fastify/error'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'

/** What a route may declare besides `public`, by the name under which its check is added. */
interface CheckedAccess {
  /** A signed-in user. */
  user: 'user'
  /** A user who has proved a short time ago who they are: for what a thief of a session must not do. */
  'fresh-user': 'fresh-user'
  /** A signed-in user who has this role. */
  role: { role: string }
  /** Another service. For everybody else there is nothing at the path. */
  service: 'service'
}

type OneAccess = CheckedAccess[keyof CheckedAccess]

/** Who may use a route. `public` is everybody. Of a list, one is enough. */
export type Access = 'public' | OneAccess | readonly [OneAccess, ...OneAccess[]]

/**
 * Returns or resolves if the request may use the route, which declares `access`. Otherwise throws the error to answer, such
 * as a 401.
 */
export type AccessCheck<Kind extends keyof CheckedAccess = keyof CheckedAccess> = (
  request: FastifyRequest,
  access: CheckedAccess[Kind],
) => void | Promise<void>

const REFUSALS = Symbol('refusals')

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    /** The members of the route's list that the request does not fulfil, each with the error of its check. */
    [REFUSALS]: Map<unknown, Error> | null
  }
  interface FastifyInstance {
    /**
     * Runs `check` on the routes with this kind of access in this scope and in scopes inside it. A plugin that knows the
     * user calls it after it has added the hooks that its check needs: the check is an `onRequest` hook.
     */
    addAccessCheck<Kind extends keyof CheckedAccess>(kind: Kind, check: AccessCheck<Kind>): void
  }
}

/** At boot: a route declares no access. */
export const RouteAccessMissing = createError(
  'ROUTE_ACCESS_MISSING',
  "These routes do not say who may use them: %s. Give each config: { access: 'public' }, { access: 'user' } or another of @repo/service.",
  500,
)

/** At boot: nothing checks the access that a route declares, so it would be public. */
export const RouteAccessUnchecked = createError(
  'ROUTE_ACCESS_UNCHECKED',
  'Nothing checks who uses these routes: %s. Register the plugin that does, as @repo/session for users, in their scope or around it.',
  500,
)

/**
 * Stops the boot if a route declares no access, or an access that nothing checks in its scope. A plugin that is registered
 * in one scope checks nothing in a sibling scope.
 *
 * @throws ROUTE_ACCESS_MISSING, ROUTE_ACCESS_UNCHECKED: from `app.ready()`, with all such routes
 */
export function requireAccess(app: FastifyInstance): void {
  const routes: { scope: FastifyInstance; route: RouteOptions }[] = []
  const checkedIn = new Map<FastifyInstance, Set<unknown>>()

  app.decorateRequest(REFUSALS, null)
  app.decorate('addAccessCheck', function addAccessCheck(this: FastifyInstance, kind, check) {
    checkedIn.set(this, new Set(checkedIn.get(this)).add(kind))
    this.addHook('onRequest', function checkAccess(request, reply, done) {
      const { access } = request.routeOptions.config
      if (Array.isArray(access) || access === 'service') {
        checkMembers(kind, check as AccessCheck, request, reply).then(
          (isAnswered) => isAnswered || done(),
          done,
        )
        return
      }
      if (kindOf(access) !== kind) return done()
      const pending = check(request, access as never)
      if (pending) pending.then(() => done(), done)
      else done()
    })
  })

  // Checked only in onReady: an onRoute hook of a scope may declare the access of its routes, and a plugin that is
  // registered after a route still checks it.
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
    const members = membersOf(access)
    return members.length > 0 && members.every((one) => hasCheck(scope, kindOf(one)))
  }

  function hasCheck(scope: FastifyInstance | null, kind: string | undefined): boolean {
    // The prototype of a scope's instance is the instance of the scope around it.
    for (; scope; scope = Object.getPrototypeOf(scope)) if (checkedIn.get(scope)?.has(kind)) return true
    return false
  }
}

/**
 * Checks those members of a route's list that are of this kind. The checks of other kinds are other hooks, so the request is
 * refused only when no member is left: with the error of the first, but never with that of `service`, which says nothing to a
 * client. A route for services alone is answered as if it did not exist.
 *
 * @returns whether the request has been answered
 */
async function checkMembers(
  kind: string,
  check: AccessCheck,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  const members = membersOf(request.routeOptions.config.access)
  const refusals = (request[REFUSALS] ??= new Map())
  for (const one of members.filter((one) => kindOf(one) === kind)) {
    try {
      await check(request, one as never)
    } catch (error) {
      refusals.set(one, error as Error)
    }
  }
  if (!members.every((one) => refusals.has(one))) return false
  const shown = members.find((one) => one !== 'service')
  if (shown !== undefined) throw refusals.get(shown)!
  reply.callNotFound()
  return true
}

/** Whether a route is for other services alone. */
export function isForServices(access: unknown): boolean {
  return access !== undefined && membersOf(access).every((one) => one === 'service')
}

function membersOf(access: unknown): unknown[] {
  return [access].flat()
}

/**
 * The kind of an access. Undefined for a value that is none, which stops the boot: an object must have one key only, because a
 * condition that nobody checks would make the route more public than it says.
 */
function kindOf(access: unknown): string | undefined {
  if (typeof access === 'string') return access === 'role' ? undefined : access
  const [[key, value] = [], ...others] = Object.entries(Object(access))
  return key === 'role' && typeof value === 'string' && value !== '' && others.length === 0 ? key : undefined
}

function nameOf({ route: { method, url } }: { route: RouteOptions }): string {
  return `${[method].flat().join('|')} ${url}`
}

function nameWithAccess(noted: { route: RouteOptions }): string {
  return `${nameOf(noted)} (access: ${JSON.stringify(noted.route.config!.access)})`
}

/** At boot: a route has a limit that nothing counts. */
export const RouteLimitUncounted = createError(
  'ROUTE_LIMIT_UNCOUNTED',
  '%s %s has a config.limit that nothing counts: register `limits` of @repo/limits before it, in its scope or around it.',
  500,
)

// keep: idempotency
/** At boot: a route asks for idempotency keys that nothing serves. */
export const RouteIdempotencyUnserved = createError(
  'ROUTE_IDEMPOTENCY_UNSERVED',
  '%s %s has a config.idempotency that nothing serves: register `idempotency` of @repo/idempotency before it, in its scope or around it.',
  500,
)
// /keep

/** Stops the boot if a route declares what no plugin does, with the name of the route. */
export function requirePlugins(app: FastifyInstance): void {
  app.addHook('onRoute', function refuseUnserved({ config = {}, method, url }) {
    const wanted = config as Record<string, unknown>
    const name = [method].flat().join('|')
    if (wanted.limit && !this.hasPlugin('limits')) throw new RouteLimitUncounted(name, url)
    // keep: idempotency
    if (wanted.idempotency && !this.hasPlugin('idempotency')) throw new RouteIdempotencyUnserved(name, url)
    // /keep
  })
}
