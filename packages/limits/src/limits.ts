import { hash } from 'node:crypto'
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { LimitInvalid, LimitReached, LimitStoreUnavailable } from './limit-error.ts'
import { counterOptions, type LimitStore } from './limit-store.ts'

/** How often a route may be asked, over all processes together. */
export interface Limit {
  /** So many requests are let through in one window. */
  max: number
  /** Whose requests are counted together: those of a network (`request.network`), or of the person who is signed in. */
  per: 'network' | 'user'
  /** It begins with the first request that is counted. A second to 30 days; whole seconds, which some stores need. */
  windowMs: number
  /** What becomes of a request while nobody can count it. Default: `allow`, and a line in the log. */
  whenAway?: 'allow' | 'refuse'
}

declare module 'fastify' {
  interface FastifyContextConfig {
    limit?: Limit
  }
}

export interface LimitsOptions {
  store: LimitStore
  /** Who is signed in, for limits per `user`: their id. */
  userOf?: (request: FastifyRequest) => string
  /** How long a request waits to be counted, at most. Default 500, as for its session. */
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
    // A GET and the HEAD that Fastify adds to it are one and the same work. A digest fits every store, whatever the path.
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
    const { access } = config as { access?: string }
    if (!Number.isInteger(max) || max < 1) return 'max is a whole number of at least 1'
    if (!(windowMs >= SECOND_MS && windowMs <= MONTH_MS)) return 'windowMs is a second to 30 days'
    if (per === 'network') {
      return app.hasRequestDecorator('network') ? undefined : 'nothing here knows request.network'
    }
    if (per !== 'user') return "per is 'network' or 'user'"
    if (access !== 'user') return "per: 'user' is for routes with access: 'user'"
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
  // A process that was itself held up, as a flood does it, finds its timer due before it has looked at its sockets, and
  // would let through what it could have counted. It looks first: an answer that lies there wins.
  const giveUp = (): void => reject(new Error(`no answer within ${deadlineMs} ms`))
  const timer = setTimeout(() => setImmediate(giveUp), deadlineMs)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** `config.limit` on any route that is added after it, counted in a store that all processes share. */
export const limits = fp(limitsPlugin, { name: 'limits', fastify: '5.x' })
