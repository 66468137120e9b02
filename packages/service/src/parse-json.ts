import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { BodyMalformed } from './errors.ts'

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
