import swagger from '@fastify/swagger'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  FastifySchema,
  RouteOptions,
} from 'fastify'
import { isForServices } from './access.ts'
import { answerErrorPastHooks, writeAnswer } from './answer-errors.ts'
import { NotReady, RouteNotFound } from './errors.ts'
import type { Metrics } from './metrics.ts'
import { PROBLEM_TYPE, toProblem } from './problem.ts'
import { pathOf } from './request-log.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers before every hook that an app or its plugins add. */
    answerAtOnce?: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
}

interface ProbeOptions {
  name: string
  isDraining(): boolean
  /** The names of all checks. */
  checkNames: readonly string[]
  runChecks(): Promise<CheckResults>
  metrics: Metrics
}

/** Adds the probes `/livez`, `/readyz`, `/metrics` and `/openapi.json`. */
export function answerProbes(
  app: FastifyInstance,
  { name, isDraining, checkNames, runChecks, metrics }: ProbeOptions,
): void {
  // Fastify adds a root hook to scopes that already exist, so a separate scope would not keep out the hooks of a session
  // plugin that waits for a frozen store. The first hook of all answers the probes, so no other hook runs.
  app.addHook('onRequest', (request, reply, done) => {
    const { answerAtOnce } = request.routeOptions.config
    if (!answerAtOnce) return done()
    // The router decodes paths, but a proxy that hides the probes compares the undecoded path.
    if (pathOf(request.url) !== request.routeOptions.url) {
      return answerErrorPastHooks(new RouteNotFound(), request, reply)
    }
    answerAtOnce(request, reply).catch((error) => answerErrorPastHooks(error, request, reply))
  })

  // Called and not registered, so that it also sees routes that are added before Fastify loads its plugins.
  swagger(app, { openapi: { openapi: '3.1.0', info: { title: name, version: '1' } }, transform }, () => {})

  probe('/livez', async (_request, reply) => sendJson(reply, { status: 'ok' }))

  // Not ready until each check has passed once, so that a broken release replaces no process. Later, a store that is away is
  // away for all processes. They stay ready, so that clients get the 503 with `Retry-After` of the service.
  const unseen = new Set(checkNames)
  probe('/readyz', async (request, reply) => {
    const checks = isDraining() ? {} : await runChecks()
    for (const [check, result] of Object.entries(checks)) if (result === 'ok') unseen.delete(check)
    const isWhole = Object.values(checks).every((result) => result === 'ok')
    if (!isDraining() && unseen.size === 0)
      return sendJson(reply, { status: isWhole ? 'ok' : 'degraded', checks })
    const problem = { ...toProblem(new NotReady(), request.id), isDraining: isDraining(), checks }
    reply.problemCode = problem.code
    writeAnswer(reply, problem.status, PROBLEM_TYPE, JSON.stringify(problem))
  })

  probe('/metrics', async (request, reply) => {
    // Requests that come through a load balancer are external. Metrics are internal, so they get 404.
    if (isForwarded(request)) throw new RouteNotFound()
    writeAnswer(reply, 200, metrics.contentType, await metrics.render())
  })

  probe('/openapi.json', async (request, reply) => {
    const { paths, ...rest } = app.swagger() as Document
    // Routes for other services are internal, too.
    sendJson(reply, { ...rest, paths: isForwarded(request) ? withoutServiceRoutes(paths) : paths })
  })

  function probe(
    url: string,
    answerAtOnce: (request: FastifyRequest, reply: FastifyReply) => Promise<void>,
  ): void {
    app.get(url, { schema: { hide: true }, config: { access: 'public', answerAtOnce } }, answerAtOnce)
  }
}

function isForwarded({ headers }: FastifyRequest): boolean {
  return headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined
}

function sendJson(reply: FastifyReply, value: unknown): void {
  writeAnswer(reply, 200, 'application/json', JSON.stringify(value))
}

/** The tag of an operation that only other services may use. */
const SERVICE_TAG = 'service'

interface Document {
  paths: Record<string, Record<string, { tags?: string[] }>>
}

function withoutServiceRoutes(paths: Document['paths']): Document['paths'] {
  const shown = Object.entries(paths).map(([path, operations]) => {
    const kept = Object.entries(operations).filter(([, { tags }]) => !tags?.includes(SERVICE_TAG))
    return [path, Object.fromEntries(kept)] as const
  })
  return Object.fromEntries(shown.filter(([, operations]) => Object.keys(operations).length > 0))
}

interface Documented {
  schema: FastifySchema
  url: string
  route: RouteOptions
}

function transform({ schema, url, route }: Documented): Pick<Documented, 'schema' | 'url'> {
  const tags = isForServices(route.config?.access) && { tags: [...(schema?.tags ?? []), SERVICE_TAG] }
  const query = schema?.querystring as Query | undefined
  // TypeBox makes a property with a default required. It is for a handler, but clients may leave it out.
  const required = query?.required?.filter((name) => query.properties[name]?.default === undefined)
  return { schema: { ...schema, ...tags, ...(required && { querystring: { ...query, required } }) }, url }
}

interface Query {
  required?: string[]
  properties: Record<string, { default?: unknown }>
}

/** Checks whether a resource of the process is available. */
export interface Check {
  /** Rejects when it is not available. */
  check(): Promise<void>
}

export type Checks = Record<string, Check>

/** Long enough for a slow store, and shorter than the timeout of probes (one second on Kubernetes). */
const CHECK_DEADLINE_MS = 900

export type CheckResults = Record<string, 'ok' | 'failed' | 'timed out'>

/** Returns a function that runs all checks in parallel. If a check still runs from the last time, it waits for that one. */
export function readiness(checks: Checks, log: FastifyBaseLogger): () => Promise<CheckResults> {
  const running = new Map<string, Promise<'ok' | 'failed'>>()

  async function run(name: string, resource: Check): Promise<'ok' | 'failed'> {
    try {
      await resource.check()
      return 'ok'
    } catch (err) {
      log.warn({ err, check: name }, 'not ready')
      return 'failed'
    } finally {
      running.delete(name)
    }
  }

  async function result(name: string, check: Check): Promise<[string, CheckResults[string]]> {
    if (!running.has(name)) running.set(name, run(name, check))
    const { promise: deadline, resolve } = Promise.withResolvers<'timed out'>()
    const timer = setTimeout(resolve, CHECK_DEADLINE_MS, 'timed out')
    const outcome = await Promise.race([running.get(name)!, deadline])
    clearTimeout(timer)
    if (outcome === 'timed out') log.warn({ check: name }, 'not ready: the check hangs')
    return [name, outcome]
  }

  return async () =>
    Object.fromEntries(await Promise.all(Object.entries(checks).map((entry) => result(...entry))))
}
