import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { answerErrorPastHooks } from './answer-errors.ts'
import { BodyMalformed, EncodingUnsupported, RequestTimeout } from './errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** In how many ms the body of a request must be here. Default: five minutes. `Infinity` when the route itself sees to it. */
    receiveWithinMs?: number
  }
}

const RECEIVE_WITHIN_MS = 300_000

/**
 * Answers 408 when a body takes too long as a whole. Node's `requestTimeout` would do so for every route alike, and end an
 * upload of 11 MB that is under way at a telephone's pace. Slow headers and silence end a connection on every route.
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

/** Without one of these two there is no body. @see RFC 9112, 6.3 */
function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined
}

/** How long what nobody reads is still taken in. */
const LINGER_MS = 2000

/**
 * Lets a client read an answer that came before it had sent its whole body, such as the refusal of a body that is
 * too large. Closing a connection with bytes unread makes the kernel send a reset, and a client that is still
 * sending meets the reset before the answer: of 2 GB uploads through a proxy, three in four ended that way.
 *
 * @see RFC 9112, 9.6
 */
export function lingerOnUnreadBody({ raw: request }: FastifyRequest, { raw: response }: FastifyReply): void {
  const { socket } = request
  if (!announcesBody(request)) return

  // Ahead of Node's own listener for 'finish', which closes the connection.
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
 * Refuses a body that its sender has packed, which would be read as if it were not. Whoever takes bytes as they come, as the
 * edge does, has no parser for JSON and passes them on.
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

/** The escapes that can stand for one half of a surrogate pair. */
const SURROGATE = /\\u[dD][89a-fA-F]/

/**
 * Takes a JSON body only when UTF-8 can hold each text in it. What it cannot hold becomes U+FFFD where the text is stored or
 * hashed, so that two different texts, two passwords say, would be one.
 *
 * @see RFC 7493 (I-JSON), 2.1
 */
export function parseJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // Some clients name the type on every request. Whether there must be a body, the route's schema says.
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
