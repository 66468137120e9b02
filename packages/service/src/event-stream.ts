import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** One message of a stream. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
export interface ServerSentEvent {
  /** The client sends it as `Last-Event-ID` when it reconnects, to any process. It must say where in the store to continue. */
  id?: string
  /** The type of the event. Default `message`. */
  event?: string
  /** Sent as JSON. */
  data: unknown
}

export interface EventSourceContext {
  /** The id of the last event that the client has seen; undefined at its first connection. */
  lastEventId: string | undefined
  /** Aborted when the client has disconnected, the lifetime ends, or the process is told to stop. Then the source ends. */
  signal: AbortSignal
}

export interface EventStreamOptions {
  /** A comment is sent after so long without an event, so that no proxy closes the connection as idle. Default 15 000. */
  heartbeatMs?: number
  /** The stream ends after so long. The client reconnects, and its access is checked again. Default 300 000. */
  lifetimeMs?: number
}

/** How long a client waits before it reconnects. */
const RETRY_MS = 1000

/**
 * Answers with server-sent events. The headers are sent at once. The stream ends when the source ends, at the end of its
 * lifetime, and when the process is told to stop. The client then reconnects by itself, to any process, with the id of the
 * last event that it has seen. To end for good, a handler answers 204 to a client that has seen the last event.
 *
 * The answer passes every hook of the service, so sessions work as in other answers. @fastify/sse would bypass the hooks.
 *
 * @throws EVENT_STREAMS_EXHAUSTED (503) when the process has 256 streams open
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

/** Yields the items of the source. Ends without an error when the signal is aborted, even while the source waits. */
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
    // Not awaited: that would wait until the source has its next value.
    void iterator.return?.().catch(() => {})
  }
}

function format({ id, event, data }: ServerSentEvent): string {
  // A line end in an id or event would begin a new field.
  const fields = Object.entries({ id, event }).filter(([, value]) => value !== undefined)
  const head = fields.map(([name, value]) => `${name}: ${value!.replaceAll(/[\r\n\0]/g, ' ')}\n`)
  return `${head.join('')}data: ${JSON.stringify(data)}\n\n`
}
