import type { FastifyInstance } from 'fastify'
import { EncodingUnsupported } from './errors.ts'

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
