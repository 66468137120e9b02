import type { FastifyReply } from 'fastify'
import { EventStreamsExhausted } from './errors.ts'

/** What a process is doing at this moment. The probes read it, `runService` changes it. */
export interface Lifecycle {
  readonly isDraining: boolean
  /** From now on the process is not ready, and each answer ends its connection. */
  drain(): void
  /** Takes note of a request until its answer has ended. */
  open(reply: FastifyReply): void
  /**
   * Counts an answer that has no end of its own, until it is closed. The signal is aborted then, and when the process drains: who
   * listens comes back, to a process that stays.
   *
   * @throws EVENT_STREAMS_EXHAUSTED
   */
  openStream(reply: FastifyReply): AbortSignal
  /** Such as `GET /api/orders/:id since 1200 ms`: the route, since a path may name a person. */
  listOpen(): string[]
}

/** Each holds a connection and asks its source again and again. */
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

// On Node's own response, so that it also holds for answers that are written past Fastify.
function endConnection({ raw }: FastifyReply): void {
  if (!raw.headersSent) raw.setHeader('connection', 'close')
}
