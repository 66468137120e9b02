import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** One message of a stream. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface ServerSentEvent {
  /** Comes back as `Last-Event-ID` when the client connects again, on whichever process: so it must say where in the store to go on. */
  id?: string
  /** Its type; without it `message`. */
  event?: string
  /** Is sent as JSON. */
  data: unknown
}

export interface EventSourceContext {
  /** What the client has seen last; undefined when it is here for the first time. */
  lastEventId: string | undefined
  /** Aborted when nobody listens any more, or the process is asked to stop: then the source ends. */
  signal: AbortSignal
}

export interface EventStreamOptions {
  /** After so much silence a comment is sent, so that nobody on the way takes the connection for dead. Default 15 000. */
  heartbeatMs?: number
  /** The client connects again after so long, and is asked again who it is. Default 300 000. */
  lifetimeMs?: number
}

/** How long a client waits before it connects again. */
const RETRY_MS = 1000

/**
 * Answers with server-sent events, from the head on at once. The stream ends when the source does, at the end of its lifetime, and
 * when the process is asked to stop; the client comes back by itself, to any process, with the id of what it has seen. Where an event
 * is the end of the matter, the handler answers a client that has seen it with 204, after which it does not come back.
 *
 * The answer goes through every hook of the service, so it keeps a session as any other does; @fastify/sse would write past them.
 *
 * @throws EVENT_STREAMS_EXHAUSTED (503) when the process has as many open as it may
 */
export function sendEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  source: (context: EventSourceContext) => AsyncIterable<ServerSentEvent>,
  { heartbeatMs = 15_000, lifetimeMs = 300_000 }: EventStreamOptions = {},
): FastifyReply {
  const open = request.server.lifecycle.openStream(reply)
  const signal = AbortSignal.any([open, AbortSignal.timeout(lifetimeMs)])
  const { 'last-event-id': seen } = request.headers
  const events = source({ lastEventId: typeof seen === 'string' ? seen : undefined, signal })
  return reply
    .type('text/event-stream; charset=utf-8')
    .header('cache-control', 'no-store')
    .header('x-accel-buffering', 'no')
    .send(Readable.from(write(events, signal, heartbeatMs), { objectMode: false }))
}

async function* write(
  events: AsyncIterable<ServerSentEvent>,
  signal: AbortSignal,
  heartbeatMs: number,
): AsyncGenerator<string> {
  yield `retry: ${RETRY_MS}\n\n`
  const iterator = endWith(signal, events)
  let next = iterator.next()
  for (;;) {
    const silence = new AbortController()
    const beat = sleep(heartbeatMs, undefined, { signal: silence.signal, ref: false }).catch(() => {})
    const result = await Promise.race([next, beat])
    silence.abort()
    if (!result) {
      yield ':\n\n'
      continue
    }
    if (result.done) return
    yield format(result.value)
    next = iterator.next()
  }
}

/** The same, until the signal: then it ends in good order, at once, whatever the source waits for. */
export async function* endWith<T>(signal: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  const stopped = signal.aborted ? Promise.resolve() : once(signal, 'abort')
  const ended = stopped.then((): IteratorResult<T> => ({ done: true, value: undefined }))
  try {
    for (;;) {
      const { done, value } = await Promise.race([ended, iterator.next()])
      if (done) return
      yield value
    }
  } finally {
    // Not waited for: it would be until the source has its next value.
    void iterator.return?.().catch(() => {})
  }
}

function format({ id, event, data }: ServerSentEvent): string {
  // A line end in a name would begin a field of its own.
  const fields = Object.entries({ id, event }).filter(([, value]) => value !== undefined)
  const head = fields.map(([name, value]) => `${name}: ${value!.replaceAll(/[\r\n\0]/g, ' ')}\n`)
  return `${head.join('')}data: ${JSON.stringify(data)}\n\n`
}
