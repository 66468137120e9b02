import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerErrorPastHooks, writeAnswer } from './answer-errors.ts'
import { NotReady } from './errors.ts'
import type { Metrics } from './metrics.ts'
import { PROBLEM_TYPE, toProblem } from './problem.ts'
import type { CheckResults } from './readiness.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers ahead of every hook that an app or its plugins add. */
    answerAtOnce?: (request: FastifyRequest, reply: FastifyReply) => Promise<void>
  }
}

interface ProbeOptions {
  name: string
  isDraining(): boolean
  runChecks(): Promise<CheckResults>
  metrics: Metrics
}

/** What a platform asks a process: does it live, does it take requests, how is it, and what can it do. */
export function answerProbes(
  app: FastifyInstance,
  { name, isDraining, runChecks, metrics }: ProbeOptions,
): void {
  // Fastify hands a root hook down to scopes that already exist, so a scope of their own would not keep a session
  // plugin that waits for its frozen store out of the probes. Answering in this hook, the first that could, does.
  app.addHook('onRequest', (request, reply, done) => {
    const { answerAtOnce } = request.routeOptions.config
    if (!answerAtOnce) return done()
    answerAtOnce(request, reply).catch((error) => answerErrorPastHooks(error, request, reply))
  })

  // Called here, not registered, so that it also sees routes that are added before Fastify loads its plugins.
  swagger(app, { openapi: { openapi: '3.1.0', info: { title: name, version: '1' } } }, () => {})

  probe('/livez', async (_request, reply) => sendJson(reply, { status: 'ok' }))

  probe('/readyz', async (request, reply) => {
    const checks = await runChecks()
    const isReady = !isDraining() && Object.values(checks).every((result) => result === 'ok')
    if (isReady) return sendJson(reply, { status: 'ok', checks })
    const status = isDraining() ? 'draining' : 'failed'
    const problem = { ...toProblem(new NotReady(), request.id), checks, reason: status }
    writeAnswer(reply, problem.status, PROBLEM_TYPE, JSON.stringify(problem))
  })

  probe('/metrics', async (_request, reply) => {
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
