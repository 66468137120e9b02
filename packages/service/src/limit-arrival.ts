import type { FastifyInstance } from 'fastify'
import { answerErrorPastHooks } from './answer-errors.ts'
import { RequestTimeout } from './errors.ts'
import { announcesBody } from './linger.ts'

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
