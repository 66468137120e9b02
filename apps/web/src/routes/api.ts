import { Readable } from 'node:stream'
import {
  exchange,
  ExchangeFailed,
  isRead,
  type Answer,
  type UpstreamProcess,
  type UpstreamRequest,
  type Upstreams,
} from '@repo/calls'
import { endWith, type Service } from '@repo/service'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { PathRejected, RequestRejected, ServiceUnknown, UpgradeUnsupported } from '../errors.ts'
import { endToEnd, hasBody, headersForService } from '../headers.ts'

/**
 * What another router could read as another path than ours does: empty segments, `.` and `..` (also encoded), a backslash,
 * `#`, and an encoded slash, backslash or NUL. Other paths are passed on byte for byte, so both sides see the same path.
 */
const AMBIGUOUS = /\/\/|[\\#]|%2f|%5c|%00|\/(?:\.|%2e){1,2}(?:[/;]|$)/i

/** Passes `/api/*` on to the service that owns the path, and returns its answer. */
export async function apiRoutes(app: Service, { upstreams }: { upstreams: Upstreams }): Promise<void> {
  // A body is passed on as a stream, unread. Its service checks its type and its size.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _body, done) => done(null))

  // An answer may come before the whole body has. To keep the connection, Node would read the rest, however long it is.
  app.addHook('onSend', async (request, reply) => {
    if (hasBody(request) && !request.raw.complete) reply.header('connection', 'close')
  })

  app.route({
    method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: '/api/*',
    // The service also limits how long a body may take.
    config: { access: 'public', receiveWithinMs: Infinity },
    schema: { hide: true },
    handler: passOn,
  })

  async function passOn(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    // The raw path, as it is passed on. The router has decoded the path that it matched.
    const [path] = request.raw.url!.split('?', 1) as [string]
    if (AMBIGUOUS.test(path)) throw new PathRejected()
    if (isWebSocket(request)) throw new UpgradeUnsupported()
    const upstream = upstreams.find(path)
    if (!upstream) throw new ServiceUnknown()

    const gone = new AbortController()
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) gone.abort(new Error('The client went away'))
    })
    const { rotation } = upstream
    const tried = new Set<UpstreamProcess>()
    for (;;) {
      const process = await rotation.take(tried)

      try {
        const sent = toService(request, process.host)
        const { statusCode, headers, body } = await exchange(process, sent, gone.signal)
        // The head of a stream is sent at once, not with the first piece, which may come much later in an event stream.
        if (body instanceof Readable) reply.raw.once('pipe', () => reply.raw.flushHeaders())
        return reply
          .code(statusCode)
          .headers(endToEnd(headers))
          .send(isEventStream(headers) && body instanceof Readable ? endAtDrain(reply, body) : body)
      } catch (error) {
        if (!(error instanceof ExchangeFailed)) throw error
        // The client is gone: 499 is only for the log.
        if (reply.raw.destroyed) return reply.code(499).send()
        if (error.code === 'UND_ERR_INVALID_ARG') throw new RequestRejected(error.message)
        if (!error.isSent) process.health = 'gone'
        else if (error.isTimeout || !isRead(request.method)) throw error.toAnswer()
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
    // Not the stream itself: undici would destroy it, and the client's connection with it, when the request is refused.
    body: hasBody(request) ? request.raw.iterator({ destroyOnReturn: false }) : null,
  }
}

/**
 * Ends an event stream when the process stops; the client connects again. The edge has a maximum of open event streams, as a
 * service has.
 *
 * @throws EVENT_STREAMS_EXHAUSTED
 */
function endAtDrain(reply: FastifyReply, events: Readable): Readable {
  try {
    const signal = reply.server.lifecycle.openStream(reply)
    return Readable.from(passEvents(signal, events), { objectMode: false })
  } catch (error) {
    events.destroy()
    throw error
  }
}

async function* passEvents(signal: AbortSignal, events: Readable): AsyncGenerator<Buffer> {
  try {
    yield* endWith<Buffer>(signal, events)
  } finally {
    events.destroy()
  }
}

function isEventStream({ 'content-type': type }: Answer['headers']): boolean {
  return /^text\/event-stream\b/i.test(`${type}`)
}

/** A server may ignore other upgrades, such as h2c: RFC 9110, 7.8. A WebSocket does not work without its upgrade. */
function isWebSocket({ raw: { headers } }: FastifyRequest): boolean {
  return headers.upgrade?.toLowerCase().includes('websocket') ?? false
}
