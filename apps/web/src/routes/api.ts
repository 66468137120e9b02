import createError from '@fastify/error'
import type { Service } from '@repo/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { exchange, ExchangeFailed, isRead, type UpstreamRequest } from '../exchange.ts'
import { endToEnd, hasBody, headersForService } from '../headers.ts'
import type { UpstreamProcess } from '../upstream-process.ts'
import type { Upstreams } from '../upstreams.ts'

const PathRejected = createError('PATH_REJECTED', 'This path can be read in more than one way.', 400)
const RequestRejected = createError('REQUEST_REJECTED', 'This request cannot be passed on: %s.', 400)
const ServiceUnknown = createError('SERVICE_UNKNOWN', 'No service answers this path.', 404)
const ServiceUnavailable = createError(
  'SERVICE_UNAVAILABLE',
  'This service cannot be reached right now. Try again in a moment.',
  503,
)
const ServiceBroke = createError(
  'SERVICE_BROKE_OFF',
  'The service broke off before it had answered; whether it did what was asked is not known.',
  502,
)
const ServiceTimeout = createError('SERVICE_TIMEOUT', 'The service did not answer in time.', 504)

/**
 * What another router could take for another path than ours does: empty segments, `.` and `..`, a backslash, and
 * all of these encoded. What is left goes on as it came, byte for byte, so both sides see the same path.
 */
const AMBIGUOUS = /\/\/|[\\#]|%2f|%5c|%00|\/(?:\.|%2e){1,2}(?:[/;]|$)/i

/** Passes `/api/*` on to the service that owns the path, and its answer back. */
export async function apiRoutes(app: Service, { upstreams }: { upstreams: Upstreams }): Promise<void> {
  // A body is passed on in a stream, unread: what it is, and how large it may be, its service knows.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _body, done) => done(null))

  // An answer that comes before the body has: Node would read the rest, however long, to keep the connection.
  app.addHook('onSend', async (request, reply) => {
    if (hasBody(request) && !request.raw.complete) reply.header('connection', 'close')
  })

  app.route({
    method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: '/api/*',
    config: { access: 'public' },
    schema: { hide: true },
    handler: passOn,
  })

  async function passOn(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    // Not `request.url` matched by the router, which has decoded it: the path as it goes on.
    const [path] = request.raw.url!.split('?', 1) as [string]
    if (AMBIGUOUS.test(path)) throw new PathRejected()
    const upstream = upstreams.find(path)
    if (!upstream) throw new ServiceUnknown()

    const { rotation } = upstream
    const tried = new Set<UpstreamProcess>()
    for (;;) {
      let process = rotation.next(tried)
      if (!process) {
        await rotation.lookAgain()
        process = rotation.next(tried)
      }
      if (!process) throw withRetryAfter(new ServiceUnavailable())
      tried.add(process)

      try {
        const { statusCode, headers, body } = await exchange(
          process,
          toService(request, process.host),
          reply.raw,
        )
        return reply.code(statusCode).headers(endToEnd(headers)).send(body)
      } catch (error) {
        if (!(error instanceof ExchangeFailed)) throw error
        // The client is gone: 499 is for the log alone.
        if (reply.raw.destroyed) return reply.code(499).send()
        if (error.code === 'UND_ERR_INVALID_ARG') throw new RequestRejected(error.message)
        if (!error.isSent) process.health = 'gone'
        else if (error.code === 'UND_ERR_HEADERS_TIMEOUT' || error.code === 'UND_ERR_BODY_TIMEOUT') {
          throw new ServiceTimeout()
        } else if (!isRead(request.method)) throw new ServiceBroke()
        request.log.warn({ err: error, origin: process.origin }, 'trying the next process')
      }
    }
  }
}

function toService(request: FastifyRequest, host: string): UpstreamRequest {
  return {
    method: request.method,
    path: request.raw.url!,
    headers: headersForService(request, host),
    // Not the stream itself: undici would destroy it, and the client's connection with it, when it is refused.
    body: hasBody(request) ? request.raw.iterator({ destroyOnReturn: false }) : null,
  }
}

function withRetryAfter(error: Error): Error {
  return Object.assign(error, { headers: { 'retry-after': '1' } })
}
