import type { OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ConnectionError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import * as errors from './errors.ts'
import { PROBLEM_TYPE, toProblem, type Answerable, type Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyReply {
    /** The code of the problem that this answer is, for logs. */
    problemCode: string | null
    /** What hooks had set when the handler began. */
    headersOfHooks: Headers | null
  }
}

type Headers = ReturnType<FastifyReply['getHeaders']>

/**
 * Makes every error of a service, whoever threw it, a problem document. What its handler had said of the answer that it meant
 * to give (cookies, `location`, `etag`, `cache-control: public`) is not said of the error. What hooks have said of the request
 * stays, as its id, the security headers and what is left of a rate limit; and so do the `headers` of the error.
 */
export function answerErrors(app: FastifyInstance): void {
  const allowedMethods = listAllowedMethods(app)

  app.decorateReply('problemCode', null)
  app.decorateReply('headersOfHooks', null)

  // Two handlers, since Fastify passes an error that an onSend hook throws while an error is being answered (a
  // session that cannot be saved, say) to the next one, and the last is its own, which shows the error's words.
  app.addHook('onRoute', (route) => {
    route.errorHandler ??= answerError
    // Not a hook of its own: the last one of a route cannot be told, since plugins may add more.
    const { handler } = route
    route.handler = function handle(request, reply) {
      reply.headersOfHooks = reply.getHeaders()
      return handler.call(this, request, reply)
    }
  })
  app.setErrorHandler(answerErrorPastHooks)

  app.setNotFoundHandler((request, reply) => {
    // About the whole server, of which there is nothing to say: RFC 9110, 9.3.7.
    if (request.method === 'OPTIONS' && request.raw.url === '*') return reply.code(204).send()
    const allowed = allowedMethods(request.raw.url ?? '')
    if (allowed.length === 0) return answerError(new errors.RouteNotFound(), request, reply)
    reply.header('allow', allowed.join(', '))
    return answerError(new errors.MethodNotAllowed(), request, reply)
  })
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = prepare(error, request, reply)
  // As bytes, so that no response schema of the route is applied to it.
  void reply
    .code(problem.status)
    .type(PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(problem)))
}

/** The same without a hook between us and the socket. */
export function answerErrorPastHooks(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = prepare(error, request, reply)
  writeAnswer(reply, problem.status, PROBLEM_TYPE, JSON.stringify(problem))
}

/** Answers past all hooks that follow, with the headers that were set so far. */
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

/** What Node could not even read as a request. There is no reply object here, only the socket. */
export function answerConnectionError(error: ConnectionError, socket: Socket): void {
  // Nobody is there to read an answer, or one is under way and a second would garble it.
  const current = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage
  if (error.code === 'ECONNRESET' || !socket.writable || current?.headersSent) {
    socket.destroy()
    return
  }
  writeProblem(socket, new (connectionErrors[error.code] ?? errors.RequestMalformed)())
}

/** A request to be a tunnel, which Node hands over as a bare socket as well. */
export function refuseTunnel(_request: unknown, socket: Duplex): void {
  // Node has let go of this connection. Without a listener a client that resets it would end the whole process.
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
 * Which methods the routes of a path know, for the answer 405. Fastify's router can only say whether a path and a
 * method together have a route, so paths are compared here, segment by segment, and only when there was none.
 */
function listAllowedMethods(app: FastifyInstance): (url: string) => string[] {
  const routes = new Map<string, Set<string>>()

  app.addHook('onRoute', ({ url, method }) => {
    const methods = routes.get(url) ?? new Set()
    for (const name of [method].flat()) methods.add(name)
    routes.set(url, methods)
  })

  return (url) => {
    const path = url.split(/[?#]/)[0]!.split('/')
    const matching = [...routes].filter(([pattern]) => isMatch(pattern.split('/'), path))
    return [...new Set(matching.flatMap(([, methods]) => [...methods]))].sort()
  }
}

function isMatch(pattern: string[], path: string[]): boolean {
  const isOpen = pattern.at(-1) === '*'
  const fixed = isOpen ? pattern.slice(0, -1) : pattern
  if (isOpen ? path.length <= fixed.length : path.length !== fixed.length) return false
  return fixed.every((segment, index) => segment.includes(':') || segment === path[index])
}
