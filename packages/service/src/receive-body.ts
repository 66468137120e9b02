import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerErrorPastHooks } from './answer-errors.ts'
import { BodyMalformed, EncodingUnsupported, RequestTimeout } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body must arrive within so many ms. Default: five minutes. `Infinity` if the route has a limit of its own. */
    receiveWithinMs?: number
  }
}

const RECEIVE_WITHIN_MS = 300_000

/**
 * Answers 408 when a whole body takes too long. Node's `requestTimeout` is the same for all routes, and would end an upload
 * of 11 MB over a slow mobile network. Slow headers and silence end a connection on every route.
 */
export function limitArrival(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { raw, routeOptions } = request
    const { receiveWithinMs = RECEIVE_WITHIN_MS } = routeOptions.config
    if (receiveWithinMs === Infinity || !announcesBody(raw)) return done()

    const timer = setTimeout(() => {
      if (raw.complete || reply.raw.headersSent) return
      answerErrorPastHooks(new RequestTimeout(), request, reply.header('connection', 'close'))
    }, receiveWithinMs)
    reply.raw.once('close', () => clearTimeout(timer))
    done()
  })
}

/** Without one of these headers there is no body. @see RFC 9112, 6.3 */
function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** How long an unread body is still received. */
const LINGER_MS = 2000

/**
 * Lets a client read an answer that is sent before its whole body has arrived, such as the refusal of a body that is too
 * large. If a connection is closed with unread bytes, the kernel sends a reset, and a client that is still sending gets the
 * reset and not the answer: of 2 GB uploads through a proxy, three in four ended that way.
 *
 * @see RFC 9112, 9.6
 */
export function lingerOnUnreadBody({ raw: request }: FastifyRequest, { raw: response }: FastifyReply): void {
  const { socket } = request
  if (!announcesBody(request)) return

  // Before Node's own listener of 'finish', which closes the connection.
  response.once('prefinish', () => {
    if (request.complete || socket.destroyed) return
    socket.destroySoon = function lingerThenDestroy() {
      delete (socket as Partial<typeof socket>).destroySoon
      if (request.complete) return socket.destroySoon()
      socket.end()
      request.on('data', () => {})
      const deadline = setTimeout(() => socket.destroy(), LINGER_MS)
      socket.once('close', () => clearTimeout(deadline))
    }
  })
}

/**
 * Refuses a compressed body, because the parser would read it as if it were not. A scope without a JSON parser, such as the
 * edge, accepts it and passes the bytes on.
 *
 * @see RFC 9110, 8.4 and 15.5.16
 */
export function refuseEncodings(app: FastifyInstance): void {
  app.addHook('preParsing', ({ headers, server }, _reply, _payload, done) => {
    const encoding = headers['content-encoding']?.trim().toLowerCase() ?? ''
    const isPlain = encoding === '' || encoding === 'identity'
    if (isPlain || !server.hasContentTypeParser('application/json')) return done()
    done(Object.assign(new EncodingUnsupported(), { headers: { 'accept-encoding': 'identity' } }))
  })
}

/** An escape of one half of a surrogate pair. */
const SURROGATE = /\\u[dD][89a-fA-F]/

/**
 * Parses a JSON body, and refuses texts that UTF-8 cannot represent. Such a character becomes U+FFFD when the text is stored
 * or hashed, so two different texts, for example two passwords, would become equal.
 *
 * @see RFC 7493 (I-JSON), 2.1
 */
export function parseJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // Some clients send the content type with every request. The route's schema says whether a body is required.
    if (body.length === 0) return done(null, undefined)
    if (!isUtf8(body)) return done(new BodyMalformed())
    const text = body.toString()
    parse(request, text, (error, value) => {
      const isBroken = !error && SURROGATE.test(text) && !isWellFormed(value)
      done(isBroken ? new BodyMalformed() : error, value)
    })
  })
}

function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, item]) => name.isWellFormed() && isWellFormed(item))
}
