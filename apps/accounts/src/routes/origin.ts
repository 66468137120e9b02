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
    for (const noted of request.origin.noted)
      request.log.info({ ...noted, network: request.network }, 'security event')
  })
}
