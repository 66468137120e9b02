import type { FastifyReply } from 'fastify'

/** What a process is doing at this moment. The probes read it, `runService` changes it. */
export interface Lifecycle {
  readonly isDraining: boolean
  /** From now on the process is not ready, and each answer ends its connection. */
  drain(): void
  /** Takes note of a request until its answer has ended. */
  open(reply: FastifyReply): void
  /** Such as `GET /api/orders/:id since 1200 ms`: the route, since a path may name a person. */
  listOpen(): string[]
}

export function createLifecycle(): Lifecycle {
  const replies = new Set<FastifyReply>()
  let isDraining = false

  return {
    get isDraining() {
      return isDraining
    },
    drain() {
      isDraining = true
      for (const reply of replies) endConnection(reply)
    },
    open(reply) {
      replies.add(reply)
      reply.raw.once('close', () => replies.delete(reply))
      if (isDraining) endConnection(reply)
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
