import type { FastifyReply } from 'fastify'
import { EventStreamsExhausted } from './errors.ts'

/** The state of a process. The probes read it, `runService` and `runWorker` change it. */
export interface Lifecycle {
  readonly isDraining: boolean
  /** Makes the process not ready, ends event streams, and lets each answer end its connection. */
  drain(): void
  /** Counts a request as open until its answer has ended. */
  open(reply: FastifyReply): void
  /**
   * Counts an event stream until it is closed. The signal is aborted then, and when the process drains: the client
   * reconnects, to another process.
   *
   * @throws EVENT_STREAMS_EXHAUSTED when 256 are open
   */
  openStream(reply: FastifyReply): AbortSignal
  /** For example `GET /api/orders/:id since 1200 ms`. The route and not the path, which may contain personal data. */
  listOpen(): string[]
}

/** Each stream keeps a connection and polls its source. */
const MOST_STREAMS = 256
const RETRY_AFTER_S = 5

export function createLifecycle(): Lifecycle {
  const replies = new Set<FastifyReply>()
  const streams = new Set<AbortController>()
  let isDraining = false

  return {
    get isDraining() {
      return isDraining
    },
    drain() {
      isDraining = true
      for (const reply of replies) endConnection(reply)
      for (const stream of streams) stream.abort()
    },
    open(reply) {
      replies.add(reply)
      reply.raw.once('close', () => replies.delete(reply))
      if (isDraining) endConnection(reply)
    },
    openStream(reply) {
      if (streams.size >= MOST_STREAMS) {
        throw Object.assign(new EventStreamsExhausted(), { headers: { 'retry-after': `${RETRY_AFTER_S}` } })
      }
      const stream = new AbortController()
      streams.add(stream)
      reply.raw.once('close', () => {
        streams.delete(stream)
        stream.abort()
      })
      if (isDraining) stream.abort()
      return stream.signal
    },
    listOpen: () =>
      [...replies].map(({ request, elapsedTime }) => {
        const route = request.routeOptions.url ?? 'an unknown path'
        return `${request.method} ${route} since ${Math.round(elapsedTime)} ms`
      }),
  }
}

// On Node's own response, so that it also applies to answers that bypass Fastify.
function endConnection({ raw }: FastifyReply): void {
  if (!raw.headersSent) raw.setHeader('connection', 'close')
}
