import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyTypeProvider,
} from 'fastify'
import type { Static, TSchema } from 'typebox'
import { requireAccess, requireLimiter } from './access.ts'
import { answerConnectionError, answerErrorPastHooks, answerErrors, refuseTunnel } from './answer-errors.ts'
import { addressesOf, canonicalAddress, networkOf, trust, watchForOneClient } from './client-address.ts'
import { compileValidator } from './compile-validator.ts'
import { checkOrigin, createHostCheck, readTarget } from './host-and-origin.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { createMetrics, type Measured } from './metrics.ts'
import { answerProbes, readiness, type Checks } from './probes.ts'
import { limitArrival, lingerOnUnreadBody, parseJson, refuseEncodings } from './receive-body.ts'
import { breakOffWithError, logOptions, logRequest, traceOf, type TraceContext } from './request-log.ts'
import type { ServiceEnv } from './service-env.ts'

declare module 'fastify' {
  interface FastifyRequest {
    readonly trace: TraceContext
    /**
     * What the client holds: its IPv4 address, or the /64 of its IPv6 address. What limits count by. Fastify's own `ip`
     * and `ips` are canonical too.
     */
    readonly network: string
  }
  interface FastifyInstance {
    readonly lifecycle: Lifecycle
  }
}

/** Types handlers by the TypeBox schemas of their route. */
export interface TypeBoxProvider extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

export type Service = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxProvider
>

export interface ServiceOptions {
  /** In every log line, and the title of the OpenAPI document. */
  name: string
  env: ServiceEnv
  /** What `/readyz` asks, by name. */
  checks?: Checks
  /** What `/metrics` says beside how requests and the process do, by name. */
  measured?: Record<string, Measured>
  /** In bytes, unless a route says otherwise. Default 1 MiB. */
  bodyLimit?: number
  /** Default: nothing may be loaded, as is right for an API. A service with a page says what its page loads. */
  contentSecurityPolicy?: string
}

/**
 * A Fastify instance with what every service has: logs, problem documents, probes, limits, security headers, the
 * origin check and the rule that every route says who may use it. It neither listens nor knows signals: that is `runService`.
 */
export function createService({ name, env, checks = {}, measured, ...options }: ServiceOptions): Service {
  const lifecycle = createLifecycle()
  const metrics = createMetrics(measured)
  const isTrusted = trust(env.TRUST_PROXY ?? [])
  const findHostProblem = createHostCheck(env)
  const headers = {
    ...securityHeaders(env, options.contentSecurityPolicy),
    // Which process answered is for developers to see.
    ...(env.PROCESS_NAME && env.NODE_ENV !== 'production' && { 'x-process': env.PROCESS_NAME }),
  }

  const app = fastify({
    ...logOptions(name, env),
    bodyLimit: options.bodyLimit ?? 1_048_576,
    // Headers have fifteen seconds to arrive, and silence ends a connection after two minutes. The whole is for the route to limit.
    requestTimeout: 0,
    connectionTimeout: 120_000,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5000, requireHostHeader: false },
    keepAliveTimeout: env.KEEP_ALIVE_TIMEOUT_MS,
    // After the drain a request can only come from a balancer that is late. It is answered, not turned away.
    return503OnClosing: false,
    // For the host and the protocol. The address is found by `stamp`.
    trustProxy: env.TRUST_PROXY ? (address) => isTrusted(canonicalAddress(address ?? '') ?? '') : false,
    rewriteUrl: readTarget,
    frameworkErrors: (error, request, reply) => {
      stamp(request, reply)
      answerErrorPastHooks(error, request, reply)
    },
    clientErrorHandler: answerConnectionError,
  }).withTypeProvider<TypeBoxProvider>()

  app.decorate('lifecycle', lifecycle)
  app.decorateRequest('trace', {
    getter() {
      return traceOf(this.raw)
    },
  })
  app.decorateRequest('network', {
    getter() {
      return networkOf(this.ip)
    },
  })
  app.setValidatorCompiler(compileValidator)
  // A form of any page can send text/plain without asking first.
  app.removeContentTypeParser('text/plain')
  parseJson(app)
  refuseEncodings(app)

  app.addHook('onRequest', (request, reply, done) => {
    stamp(request, reply)
    done(findHostProblem(request.raw))
  })

  function stamp(request: FastifyRequest, reply: FastifyReply): void {
    const addresses = addressesOf(request.raw, isTrusted)
    // In place of Fastify's own, which are what a proxy has written, port and all.
    Object.defineProperty(request, 'ip', { value: addresses.at(-1) })
    if (env.TRUST_PROXY) Object.defineProperty(request, 'ips', { value: addresses })
    reply.headers(headers).header('x-request-id', request.id)
    lifecycle.open(reply)
    lingerOnUnreadBody(request, reply)
    // Not Fastify's onResponse, which never runs when the client has gone.
    reply.raw.once('close', () => {
      metrics.record(request, reply)
      logRequest(request, reply)
    })
  }

  // Node would answer 417 on its own, with no body. An expectation that nobody knows may as well be ignored.
  app.server.on('checkExpectation', app.routing)
  app.server.on('connect', refuseTunnel)

  limitArrival(app)
  requireAccess(app)
  requireLimiter(app)
  answerErrors(app)
  breakOffWithError(app)
  const runChecks = readiness(checks, app.log)
  metrics.watchChecks(runChecks)
  answerProbes(app, {
    name,
    metrics,
    isDraining: () => lifecycle.isDraining,
    checkNames: Object.keys(checks),
    runChecks,
  })
  if (env.NODE_ENV === 'production') {
    const noteClient = watchForOneClient(app.log)
    app.addHook('onRequest', ({ ip, ips = [], headers }, _reply, done) => {
      noteClient(ip, { isForwarded: headers['x-forwarded-for'] !== undefined, isBelieved: ips.length > 1 })
      done()
    })
  }
  checkOrigin(app, [env.PUBLIC_ORIGIN, ...(env.APP_ORIGINS ?? [])])

  return app
}

/**
 * The headers of every answer, for a service that answers data and not pages. They are a constant, where
 * @fastify/helmet works them out anew for each request, at the price of the rest of a small request.
 *
 * @see https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
 */
function securityHeaders(
  { PUBLIC_ORIGIN, HSTS_INCLUDE_SUBDOMAINS }: ServiceEnv,
  contentSecurityPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
): Record<string, string> {
  return {
    'content-security-policy': contentSecurityPolicy,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    // For browsers that do not read frame-ancestors.
    'x-frame-options': 'DENY',
    // Two years, and only where https is what browsers use anyway: it cannot be taken back.
    ...(PUBLIC_ORIGIN.startsWith('https://') && {
      'strict-transport-security': `max-age=63072000${HSTS_INCLUDE_SUBDOMAINS ? '; includeSubDomains' : ''}`,
    }),
  }
}
