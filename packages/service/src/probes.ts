import swagger from '@fastify/swagger'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import { answerErrorPastHooks, writeAnswer } from './answer-errors.ts'
import { NotReady, RouteNotFound } from './errors.ts'
import type { Metrics } from './metrics.ts'
import { PROBLEM_TYPE, toProblem } from './problem.ts'
import { pathOf } from './request-log.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers ahead of every hook that an app or its plugins add. */
    answerAtOnce?: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
}

interface ProbeOptions {
  name: string
  isDraining(): boolean
  /** What is checked. */
  checkNames: readonly string[]
  runChecks(): Promise<CheckResults>
  metrics: Metrics
}

/** What a platform asks a process: does it live, does it take requests, how is it, and what can it do. */
export function answerProbes(
  app: FastifyInstance,
  { name, isDraining, checkNames, runChecks, metrics }: ProbeOptions,
): void {
  // Fastify hands a root hook down to scopes that already exist, so a scope of their own would not keep a session
  // plugin that waits for its frozen store out of the probes. Answering in this hook, the first that could, does.
  app.addHook('onRequest', (request, reply, done) => {
    const { answerAtOnce } = request.routeOptions.config
    if (!answerAtOnce) return done()
    // The router decodes paths, and what stands in front hides these from the public by their letters.
    if (pathOf(request.url) !== request.routeOptions.url) {
      return answerErrorPastHooks(new RouteNotFound(), request, reply)
    }
    answerAtOnce(request, reply).catch((error) => answerErrorPastHooks(error, request, reply))
  })

  // Called here, not registered, so that it also sees routes that are added before Fastify loads its plugins.
  swagger(app, { openapi: { openapi: '3.1.0', info: { title: name, version: '1' } }, transform }, () => {})

  probe('/livez', async (_request, reply) => sendJson(reply, { status: 'ok' }))

  // Until each has passed once: a release that leads nowhere takes over from nobody. From then on a store that is away is the same for
  // all processes, and to turn them all away at once would only take its words from who asks: a 503 with the time to come again.
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
    // Who asks through a balancer is from outside, and how much we are used is no business of theirs.
    if (request.headers.forwarded ?? request.headers['x-forwarded-for']) throw new RouteNotFound()
    writeAnswer(reply, 200, metrics.contentType, await metrics.render())
  })

  probe('/openapi.json', async (_request, reply) => sendJson(reply, app.swagger()))

  function probe(
    url: string,
    answerAtOnce: (request: FastifyRequest, reply: FastifyReply) => Promise<void>,
  ): void {
    app.get(url, { schema: { hide: true }, config: { access: 'public', answerAtOnce } }, answerAtOnce)
  }
}

function sendJson(reply: FastifyReply, value: unknown): void {
  writeAnswer(reply, 200, 'application/json', JSON.stringify(value))
}

/** TypeBox counts what has a default as required, and for a handler it is; whoever asks may leave it out. */
function transform({ schema, url }: { schema: FastifySchema; url: string }): {
  schema: FastifySchema
  url: string
} {
  const query = schema?.querystring as Query | undefined
  if (!query?.required) return { schema, url }
  const required = query.required.filter((name) => query.properties[name]?.default === undefined)
  return { schema: { ...schema, querystring: { ...query, required } }, url }
}

interface Query {
  required?: string[]
  properties: Record<string, { default?: unknown }>
}

/** Whether something that a process needs can be used now. */
export interface Check {
  /** Rejects when it cannot. */
  check(): Promise<void>
}

export type Checks = Record<string, Check>

/** Long enough for a store in trouble, short enough for the probe's own patience (Kubernetes waits one second). */
const CHECK_DEADLINE_MS = 900

export type CheckResults = Record<string, 'ok' | 'failed' | 'timed out'>

/** Runs all checks side by side, and one that still hangs from the last time is waited for, not run again. */
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
