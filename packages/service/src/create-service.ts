import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyTypeProvider,
} from 'fastify'
import type { Static, TSchema } from 'typebox'
import { requireAccess, requirePlugins } from './access.ts'
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

/** From a service that calls this one. Envoy and service meshes use the same name. */
const TIME_LEFT = 'x-envoy-expected-rq-timeout-ms'

declare module 'fastify' {
  interface FastifyRequest {
    readonly trace: TraceContext
    /**
     * The network of the client, by which limits count: its IPv4 address, or the /64 of its IPv6 address. Fastify's `ip` and
     * `ips` are canonical too.
     */
    readonly network: string
    /** When the service that calls this one stops waiting: a time of `performance.now()`. Infinity when it does not say. */
    deadline: number
  }
  interface FastifyInstance {
    readonly lifecycle: Lifecycle
  }
}

/** Types the handlers of a route by its TypeBox schemas. */
interface TypeBoxProvider extends FastifyTypeProvider {
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
  /** The checks of `/readyz`, by name. */
  checks?: Checks
  /** Further metrics of `/metrics`, by name, beside those of requests and of the process. */
  measured?: Record<string, Measured>
  /** In bytes, for routes without their own. Default 1 MiB. */
  bodyLimit?: number
  /** Default: nothing may be loaded, which is right for an API. A service with a page allows what the page loads. */
  contentSecurityPolicy?: string
}

/**
 * Returns a Fastify instance with the common parts of every service: logs, problem documents, probes, limits, security
 * headers, the origin check, and the rule that routes declare their access. `runService` listens and handles signals.
 */
export function createService({ name, env, checks = {}, measured, ...options }: ServiceOptions): Service {
  const lifecycle = createLifecycle()
  const metrics = createMetrics(measured)
  const isTrusted = trust(env.TRUST_PROXY ?? [])
  const findHostProblem = createHostCheck(env)
  const headers = {
    ...securityHeaders(env, options.contentSecurityPolicy),
    // Shows developers which process has answered.
    ...(env.PROCESS_NAME && env.NODE_ENV !== 'production' && { 'x-process': env.PROCESS_NAME }),
  }

  const app = fastify({
    ...logOptions(name, env),
    bodyLimit: options.bodyLimit ?? 1_048_576,
    // Headers may take 15 s, and a silent connection ends after two minutes. `limitArrival` limits the body, per route.
    requestTimeout: 0,
    connectionTimeout: 120_000,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5000, requireHostHeader: false },
    keepAliveTimeout: env.KEEP_ALIVE_TIMEOUT_MS,
    // After the drain, only a late load balancer sends requests. They are answered and not refused.
    return503OnClosing: false,
    // For the host and the protocol. `stamp` finds the address.
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
  app.decorateRequest('deadline', Infinity)
  app.setValidatorCompiler(compileValidator)
  // A form on any page can send text/plain without a CORS preflight.
  app.removeContentTypeParser('text/plain')
  parseJson(app)

  app.addHook('onRequest', (request, reply, done) => {
    stamp(request, reply)
    const leftMs = Number(request.headers[TIME_LEFT])
    if (leftMs > 0) request.deadline = performance.now() + leftMs
    done(findHostProblem(request.raw))
  })

  function stamp(request: FastifyRequest, reply: FastifyReply): void {
    const addresses = addressesOf(request.raw, isTrusted)
    // Replaces Fastify's own, which are as a proxy wrote them, for example with a port.
    Object.defineProperty(request, 'ip', { value: addresses.at(-1) })
    if (env.TRUST_PROXY) Object.defineProperty(request, 'ips', { value: addresses })
    reply.headers(headers).header('x-request-id', request.id)
    lifecycle.open(reply)
    lingerOnUnreadBody(request, reply)
    // Not Fastify's onResponse, which does not run when the client has disconnected.
    reply.raw.once('close', () => {
      metrics.record(request, reply)
      logRequest(request, reply)
    })
  }

  // Without this, Node answers 417 without a body. An unknown expectation may be ignored.
  app.server.on('checkExpectation', app.routing)
  app.server.on('connect', refuseTunnel)

  limitArrival(app)
  requireAccess(app)
  requirePlugins(app)
  answerErrors(app)
  refuseEncodings(app)
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
 * The security headers of every answer. They are constant: @fastify/helmet computes them for each request, which costs as
 * much as the rest of a small request.
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
    // Two years, and only with an https origin, because browsers remember it.
    ...(PUBLIC_ORIGIN.startsWith('https://') && {
      'strict-transport-security': `max-age=63072000${HSTS_INCLUDE_SUBDOMAINS ? '; includeSubDomains' : ''}`,
    }),
  }
}
