import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyTypeProvider,
} from 'fastify'
import type { Static, TSchema } from 'typebox'
import { answerConnectionError, answerErrorPastHooks, answerErrors, refuseTunnel } from './answer-errors.ts'
import { compileValidator } from './compile-validator.ts'
import { RequestMalformed } from './errors.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import { lingerOnUnreadBody } from './linger.ts'
import { createMetrics, type Measured } from './metrics.ts'
import { checkOrigin } from './origin-check.ts'
import { answerProbes } from './probes.ts'
import { readiness, type Checks } from './readiness.ts'
import { logOptions, logRequest, traceOf } from './request-log.ts'
import { securityHeaders } from './security-headers.ts'
import type { ServiceEnv } from './service-env.ts'
import type { TraceContext } from './trace-context.ts'

/** Who may use a route: anybody, or who is signed in. */
export type Access = 'public' | 'user'

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    readonly trace: TraceContext
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
 * A Fastify instance with what every service has: logs, problem documents, probes, limits, security headers and
 * the origin check. It neither listens nor knows signals: that is `runService`.
 */
export function createService({ name, env, checks = {}, measured, ...options }: ServiceOptions): Service {
  const lifecycle = createLifecycle()
  const metrics = createMetrics(measured)
  const headers = {
    ...securityHeaders(env.PUBLIC_ORIGIN, options.contentSecurityPolicy),
    // Which process answered is for developers to see.
    ...(env.PROCESS_NAME && env.NODE_ENV !== 'production' && { 'x-process': env.PROCESS_NAME }),
  }

  const app = fastify({
    ...logOptions(name, env),
    bodyLimit: options.bodyLimit ?? 1_048_576,
    // A request has five minutes to arrive, its headers fifteen seconds; silence ends a connection after two minutes.
    requestTimeout: 300_000,
    connectionTimeout: 120_000,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5000, requireHostHeader: false },
    // Longer than the 60 s of most balancers: who closes first must be the one who knows whether he just sent something.
    keepAliveTimeout: 72_000,
    // After the drain a request can only come from a balancer that is late. It is answered, not turned away.
    return503OnClosing: false,
    trustProxy: env.TRUST_PROXY ?? false,
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
  app.setValidatorCompiler(compileValidator)
  // A form of any page can send text/plain without asking first.
  app.removeContentTypeParser('text/plain')

  app.addHook('onRequest', (request, reply, done) => {
    stamp(request, reply)
    const isNameless = request.raw.headers.host === undefined && request.raw.httpVersion === '1.1'
    done(isNameless ? new RequestMalformed() : undefined)
  })

  function stamp(request: FastifyRequest, reply: FastifyReply): void {
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

  answerErrors(app)
  answerProbes(app, {
    name,
    metrics,
    isDraining: () => lifecycle.isDraining,
    runChecks: readiness(checks, app.log),
  })
  checkOrigin(app, env.PUBLIC_ORIGIN)

  return app
}
