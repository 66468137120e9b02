import { hash } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { LimitInvalid, LimitReached, LimitStoreUnavailable } from './limit-error.ts'
import { counterOptions, type LimitStore } from './limit-store.ts'

/** How often a route may be requested, over all processes together. */
export interface Limit {
  /** The number of requests allowed in one window. */
  max: number
  /** Which requests are counted together: those of a network (`request.network`), or of the signed-in user. */
  per: 'network' | 'user'
  /** The window begins with its first counted request. A second to 30 days; whole seconds, which some stores need. */
  windowMs: number
  /** What happens to a request that cannot be counted. Default: `allow`, and a line in the log. */
  whenAway?: 'allow' | 'refuse'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    limit?: Limit
  }
}

export interface LimitsOptions {
  store: LimitStore
  /** The id of the signed-in user, for limits per `user`. */
  userOf?: (request: FastifyRequest) => string
  /** The longest time that a request waits to be counted. Default 500, as for its session. */
  deadlineMs?: number
}

const SECOND_MS = 1000
const MONTH_MS = 30 * 24 * 60 * 60 * SECOND_MS

async function limitsPlugin(
  app: FastifyInstance,
  { store, userOf, deadlineMs = 500 }: LimitsOptions,
): Promise<void> {
  await app.register(rateLimit, {
    ...counterOptions(store),
    global: false,
    max: (request) => limitOf(request).max,
    timeWindow: (request) => limitOf(request).windowMs,
    keyGenerator: nameCounter,
    enableDraftSpec: true,
    errorResponseBuilder: () => new LimitReached(),
  })
  const countRequest = app.rateLimit() as (request: FastifyRequest, reply: FastifyReply) => Promise<void>

  function nameCounter(request: FastifyRequest): string {
    const { per } = limitOf(request)
    const who = per === 'user' ? userOf!(request) : networkOf(request)
    // A GET and the HEAD that Fastify adds to it do the same work. A digest fits every store, whatever the path.
    const method = request.method === 'HEAD' ? 'GET' : request.method
    return hash('sha256', `${method} ${request.routeOptions.url} ${per} ${who}`, 'base64url')
  }

  async function limitRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    try {
      await withDeadline(deadlineMs, countRequest(request, reply))
    } catch (error) {
      if (error instanceof LimitReached) throw error
      request.log.warn({ err: error }, 'A request could not be counted for its limit')
      if (limitOf(request).whenAway !== 'refuse') return
      throw Object.assign(new LimitStoreUnavailable({ cause: error }), { headers: { 'retry-after': '1' } })
    }
  }

  app.addHook('onRoute', (route) => {
    const limit = route.config?.limit
    if (!limit) return
    const problem = findProblem(limit, route)
    if (problem) throw new LimitInvalid(String(route.method), route.url, problem)
    // After the hooks of the app, so after the session, and before the body is read.
    route.onRequest = [route.onRequest ?? [], limitRequest].flat()
  })

  function findProblem({ max, per, windowMs }: Limit, { config }: RouteOptions): string | undefined {
    const { access = 'public' } = config as { access?: unknown }
    if (!Number.isInteger(max) || max < 1) return 'max is a whole number of at least 1'
    if (!(windowMs >= SECOND_MS && windowMs <= MONTH_MS)) return 'windowMs is a second to 30 days'
    if (per === 'network') {
      return app.hasRequestDecorator('network') ? undefined : 'nothing here knows request.network'
    }
    if (per !== 'user') return "per is 'network' or 'user'"
    if ([access].flat().every((one) => one === 'public' || one === 'service'))
      return "per: 'user' is for routes of a signed-in user, as with access: 'user'"
    return userOf ? undefined : "per: 'user' needs the option userOf of limits"
  }
}

function limitOf(request: FastifyRequest): Limit {
  return request.routeOptions.config.limit!
}

function networkOf(request: FastifyRequest): string {
  return (request as FastifyRequest & { network: string }).network
}

async function withDeadline(deadlineMs: number, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  // When the process itself was blocked, as in a flood, its timer is due before it has read its sockets. It would let
  // requests pass that the store has counted. So it reads its sockets first, and an answer that has arrived wins.
  const giveUp = (): void => reject(new Error(`no answer within ${deadlineMs} ms`))
  const timer = setTimeout(() => setImmediate(giveUp), deadlineMs)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Enforces `config.limit` of every route that is added after it. The counters are in a store that all processes share. */
export const limits = fp(limitsPlugin, { name: 'limits', fastify: '5.x' })
