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

/** The trace that a request belongs to. */
export function traceOf(request: Traced): TraceContext {
  return (request[traceKey] ??= continueTrace(request.headers.traceparent))
}

/**
 * JSON lines on stdout, each line of a request with its id and its trace. Headers, queries and bodies are never
 * written: that is where passwords, cookies and tokens are.
 */
export function logOptions(name: string, env: ServiceEnv): FastifyServerOptions {
  return {
    logger: {
      level: env.LOG_LEVEL,
      // Written at once: what waits in a buffer is lost with a process that crashes, and it is the line that says why.
      stream: pino.destination({ fd: 1, sync: true }),
      base: { service: name, process: env.PROCESS_NAME },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError, req: ({ method, url }) => ({ method, path: pathOf(url) }) },
    },
    // One line a request, at its end, by logRequest: the beginning tells nothing that the end does not.
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

/** An answer whose source fails in the middle is broken off with that error, so that its line does not blame the client. */
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

/** Writes the line of a request whose answer has ended, or was broken off by us, or whose client has gone. */
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

/** Whoever calls may name the request, in characters that do no harm in a log. */
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

/** Only these: what libraries hang onto their errors (queries, requests, rows) may be anybody's data. */
function serializeError(error: unknown): SerializedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' }
  const { name, message, stack = '', cause } = error
  const { code } = error as { code?: unknown }
  return { type: name, code, message, stack, ...(cause instanceof Error && { cause: serializeError(cause) }) }
}

/** Where a request belongs among all that one click set off. @see https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  traceId: string
  /** Of this process's part. */
  spanId: string
  /** The header to send along when this process asks another one. */
  traceparent: string
}

const TRACEPARENT =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(?:$|(?<!^00.*)-)/

/** Goes on with the trace of the caller's `traceparent`, else starts one. */
export function continueTrace(header: string | string[] | undefined): TraceContext {
  const [, traceId = randomHex(), flags = '01'] = TRACEPARENT.exec(String(header)) ?? []
  const spanId = randomHex().slice(16)
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

/** Node makes UUIDs many at a time; asking the system for bytes cost a tenth of a small request. */
function randomHex(): string {
  return randomUUID().replaceAll('-', '')
}
