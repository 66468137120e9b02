import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import {
  LogController,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import pino from 'pino'
import type { ServiceEnv } from './service-env.ts'

const traceKey = Symbol('trace')

type Traced = IncomingMessage & { [traceKey]?: TraceContext }

/** The trace of a request. */
export function traceOf(request: Traced): TraceContext {
  return (request[traceKey] ??= continueTrace(request.headers.traceparent))
}

/**
 * Fastify options for a log of JSON lines on stdout. Each line of a request has its id and trace. Headers, queries and
 * bodies are never logged, because they contain passwords, cookies and tokens.
 */
export function logOptions(name: string, env: ServiceEnv): FastifyServerOptions {
  return {
    logger: {
      level: env.LOG_LEVEL,
      // Written at once: after a crash, a buffer would be lost, and with it the line that says why.
      stream: pino.destination({ fd: 1, sync: true }),
      base: { service: name, process: env.PROCESS_NAME },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, req: ({ method, url }) => ({ method, path: pathOf(url) }) },
    },
    // `logRequest` writes one line per request, at its end.
    logController: Object.assign(new LogController({ requestIdLogLabel: 'request_id' }), {
      incomingRequest() {},
      requestCompleted() {},
    }),
    genReqId: ({ headers }) => readRequestId(headers['x-request-id']) ?? randomUUID(),
    childLoggerFactory(logger, bindings, options, request) {
      const { traceId, spanId } = traceOf(request as Traced)
      return logger.child({ ...bindings, trace_id: traceId, span_id: spanId }, options)
    },
  }
}

/** Aborts an answer with the error of its stream, so that the log line does not say that the client aborted it. */
export function breakOffWithError(app: FastifyInstance): void {
  app.addHook('onSend', (_request, { raw }, payload, done) => {
    if (payload instanceof Readable) {
      payload.once('error', (error) => {
        if (raw.headersSent) raw.destroy(error)
      })
    }
    done(null, payload)
  })
}

/** Writes the log line of a request when its answer has ended, was aborted, or its client has disconnected. */
export function logRequest(request: FastifyRequest, reply: FastifyReply): void {
  const { answerAtOnce } = request.routeOptions.config
  const { errored } = reply.raw
  const level = errored || reply.raw.statusCode >= 500 ? 'error' : answerAtOnce ? 'debug' : 'info'
  request.log[level](
    {
      method: request.method,
      path: pathOf(request.url),
      route: request.routeOptions.url,
      status: reply.raw.statusCode,
      problem: reply.problemCode ?? undefined,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      client: request.network,
      ...(errored && { err: errored }),
    },
    describeEnd(reply),
  )
}

function describeEnd({ raw }: FastifyReply): string {
  if (raw.writableFinished) return 'request'
  return raw.errored ? 'answer broken off by us' : 'request aborted by the client'
}

/** A client may set the request id, in characters that are safe in a log. */
function readRequestId(header: unknown): string | undefined {
  return typeof header === 'string' && /^[\w.:-]{8,128}$/.test(header) ? header : undefined
}

export function pathOf(url = ''): string {
  return url.split('?', 1)[0]!
}

interface SerializedError {
  [key: string]: unknown
  type: string
  message: string
  stack: string
}

/** Only these properties: libraries add others (queries, requests, rows) that may contain personal data. */
function serializeError(error: unknown): SerializedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' }
  const { name, message, stack = '', cause } = error
  const { code } = error as { code?: unknown }
  return { type: name, code, message, stack, ...(cause instanceof Error && { cause: serializeError(cause) }) }
}

/** The trace of a request through all services. @see https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  traceId: string
  /** The span of this process. */
  spanId: string
  /** The header to send with requests to other services. */
  traceparent: string
}

const TRACEPARENT =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(?:$|(?<!^00.*)-)/

/** Continues the trace of the `traceparent` header, or starts a new one if it is missing or invalid. */
export function continueTrace(header: string | string[] | undefined): TraceContext {
  const [, traceId = randomHex(), flags = '01'] = TRACEPARENT.exec(String(header)) ?? []
  const spanId = randomHex().slice(16)
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

/** Node generates UUIDs in batches. `randomBytes` cost a tenth of a small request. */
function randomHex(): string {
  return randomUUID().replaceAll('-', '')
}
