import type { OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { isForServices } from './access.ts'
import * as errors from './errors.ts'
import { PROBLEM_TYPE, toProblem, type Answerable, type Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** The code of the problem document, for logs. */
    problemCode: string | null
    /** The headers that hooks had set when the handler began. */
    headersOfHooks: Headers | null
  }
}

type Headers = ReturnType<FastifyReply['getHeaders']>

/**
 * Answers every error of a service with a problem document. Headers that the handler had set for its answer (cookies,
 * `location`, `etag`, `cache-control: public`) are removed. Headers that hooks had set stay, such as the request id, the
 * security headers and the rate limit. The `headers` of the error are added.
 */
export function answerErrors(app: FastifyInstance): void {
  const allowedMethods = listAllowedMethods(app)

  app.decorateReply('problemCode', null)
  app.decorateReply('headersOfHooks', null)

  // Two handlers: while an error is answered, an onSend hook may throw another one (for example, a session cannot be saved).
  // Fastify passes it to the next handler, and the last one is Fastify's own, which would show the message.
  app.addHook('onRoute', (route) => {
    route.errorHandler ??= answerError
    // Not in a hook: it would have to be the last one of the route, but plugins may add more.
    const { handler } = route
    route.handler = function handle(request, reply) {
      reply.headersOfHooks = reply.getHeaders()
      return handler.call(this, request, reply)
    }
  })
  app.setErrorHandler(answerErrorPastHooks)

  // Before a body is read: a refusal of the body would show that a path for services alone is not an unknown one. A scope with a
  // handler of its own has another config.
  app.addHook('preParsing', (request, reply, _payload, done) => {
    if (request.routeOptions.config !== unknownPath) return done()
    void answerNotFound(request, reply)
  })
  const unknownPath = {}
  // Fastify's types do not know the config of this handler.
  app.setNotFoundHandler({ config: unknownPath } as object, answerNotFound)

  function answerNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply | void {
    // `OPTIONS *` is about the whole server, which has no options to list: RFC 9110, 9.3.7.
    if (request.method === 'OPTIONS' && request.raw.url === '*') return reply.code(204).send()
    const allowed = allowedMethods(request.raw.url ?? '')
    if (allowed.length === 0) return answerError(new errors.RouteNotFound(), request, reply)
    reply.header('allow', allowed.join(', '))
    return answerError(new errors.MethodNotAllowed(), request, reply)
  }
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = prepare(error, request, reply)
  // As bytes, so that the response schema of the route is not applied.
  void reply
    .code(problem.status)
    .type(PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(problem)))
}

/** Answers an error without running any further hook. */
export function answerErrorPastHooks(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = prepare(error, request, reply)
  writeAnswer(reply, problem.status, PROBLEM_TYPE, JSON.stringify(problem))
}

/** Answers without running any further hook, with the headers that are set so far. */
export function writeAnswer(reply: FastifyReply, status: number, contentType: string, body: string): void {
  reply.hijack()
  reply.headers({ 'content-type': contentType, 'content-length': `${Buffer.byteLength(body)}` })
  reply.raw.writeHead(status, reply.getHeaders() as OutgoingHttpHeaders).end(body)
}

function prepare(error: unknown, request: FastifyRequest, reply: FastifyReply): Problem {
  const problem = toProblem(error, request.id)
  reply.problemCode = problem.code
  if (problem.status >= 500) {
    request.log[problem.status === 503 ? 'warn' : 'error']({ err: error }, 'request failed')
  } else {
    request.log.debug({ err: error }, 'request refused')
  }
  forgetHandler(reply)
  const { headers } = Object(error) as Answerable
  if (headers) reply.headers(headers)
  return problem
}

function forgetHandler(reply: FastifyReply): void {
  const { headersOfHooks, raw } = reply
  if (!headersOfHooks || raw.headersSent) return
  for (const name of Object.keys(reply.getHeaders())) {
    reply.removeHeader(name)
    if (!(name in headersOfHooks)) raw.removeHeader(name)
  }
  reply.headers(headersOfHooks)
}

/** Answers what Node cannot parse as a request. There is no reply object, only the socket. */
export function answerConnectionError(error: ConnectionError, socket: Socket): void {
  // The client has disconnected, or an answer is being sent and a second one would corrupt it.
  const current = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage
  if (error.code === 'ECONNRESET' || !socket.writable || current?.headersSent) {
    socket.destroy()
    return
  }
  writeProblem(socket, new (connectionErrors[error.code] ?? errors.RequestMalformed)())
}

/** Answers CONNECT with 405. Here too, Node gives only the socket. */
export function refuseTunnel(_request: unknown, socket: Duplex): void {
  // Node no longer handles this socket. Without a listener, a reset by the client would end the process.
  socket.on('error', () => {})
  socket.resume()
  writeProblem(socket, new errors.MethodNotAllowed())
}

function writeProblem(socket: Duplex, error: Error): void {
  const problem = toProblem(error)
  const body = JSON.stringify(problem)
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

const connectionErrors: Record<string, new () => Error> = {
  ERR_HTTP_REQUEST_TIMEOUT: errors.RequestTimeout,
  HPE_HEADER_OVERFLOW: errors.HeadersTooLarge,
}

/**
 * Returns a function that lists the methods of a path, for the answer 405, without those for services alone. Fastify's router
 * only finds a route by path and method together. So paths are compared here, segment by segment, and only when there is no
 * route.
 */
function listAllowedMethods(app: FastifyInstance): (url: string) => string[] {
  const routes: RouteOptions[] = []

  app.addHook('onRoute', (route) => void routes.push(route))

  return (url) => {
    const path = url.split(/[?#]/)[0]!.split('/')
    const matching = routes.filter(
      ({ url, config }) => isMatch(url.split('/'), path) && !isForServices(config?.access),
    )
    return [...new Set(matching.flatMap(({ method }) => method))].sort()
  }
}

function isMatch(pattern: string[], path: string[]): boolean {
  const isOpen = pattern.at(-1) === '*'
  const fixed = isOpen ? pattern.slice(0, -1) : pattern
  if (isOpen ? path.length <= fixed.length : path.length !== fixed.length) return false
  return fixed.every((segment, index) => segment.includes(':') || segment === path[index])
}
