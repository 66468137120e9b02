import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Origin } from '../domain/security-events.ts'

declare module 'fastify' {
  interface FastifyRequest {
    origin: Origin
  }
}

/**
 * Gives each request its `origin`, for the events that it notes, and writes these to the log when the request is answered. An
 * answer of 500 or more has noted nothing: its transaction was rolled back.
 */
export function noteOrigins(app: FastifyInstance): void {
  app.decorateRequest('origin')
  app.addHook('onRequest', async (request) => {
    request.origin = {
      network: request.network,
      userAgent: request.headers['user-agent'] ?? '',
      noted: [],
    }
  })
  app.addHook('onResponse', async (request: FastifyRequest, reply) => {
    if (reply.statusCode >= 500) return
    // A request that an earlier hook refused, such as one without a session, has no origin and noted nothing.
    const { noted = [] } = (request.origin as Origin | undefined) ?? {}
    for (const one of noted) request.log.info({ ...one, network: request.network }, 'security event')
  })
}
