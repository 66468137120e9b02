import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ServiceBroke, ServiceTimeout } from './errors.ts'
import type { UpstreamProcess } from './upstream-process.ts'

/** Up to this length an answer is held back until it is complete, so that a read can be retried when it breaks off. */
const SMALL_BYTES = 64 * 1024

export interface UpstreamRequest {
  method: string
  path: string
  headers: Record<string, string | string[]>
  body: AsyncIterator<Buffer> | Buffer | null
}

export interface Answer {
  statusCode: number
  headers: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2]
  /** A buffer when it is small, undefined when there is none. */
  body: Buffer | Readable | undefined
}

/** There is no answer, or only a part of a small one. */
export class ExchangeFailed extends Error {
  override name = 'ExchangeFailed'
  /** Whether the request may have reached the process; false when no byte of it was written. */
  readonly isSent: boolean
  readonly code: string

  constructor(cause: Error & { code?: string }, isSent: boolean) {
    super(cause.message, { cause })
    this.isSent = isSent
    this.code = cause.code ?? cause.name
  }

  get isTimeout(): boolean {
    return this.code === 'UND_ERR_HEADERS_TIMEOUT' || this.code === 'UND_ERR_BODY_TIMEOUT'
  }

  /** The error that the client gets: SERVICE_TIMEOUT or SERVICE_BROKE_OFF. */
  toAnswer(): Error {
    return this.isTimeout ? new ServiceTimeout() : new ServiceBroke()
  }
}

/** A read changes nothing, so it may be sent twice. */
export function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}

/**
 * Sends one request to one process and resolves to its answer. The request is aborted with the signal, and a read also when
 * the process stalls before it begins its answer.
 *
 * This is undici's `dispatch` and not its `request`, because only `dispatch` tells whether the request was written (which
 * decides whether a POST may be tried elsewhere); it also costs less.
 *
 * @throws ExchangeFailed
 */
export function exchange(
  { pool, waiting }: UpstreamProcess,
  request: UpstreamRequest,
  signal: AbortSignal,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined
    let answer: Omit<Answer, 'body'> | undefined
    let stream: Readable | undefined
    const chunks: Buffer[] = []

    const onAbort = (): void => controller?.abort(signal.reason as Error)
    const onStall = (): void => controller?.abort(new Error('The process does not answer'))

    function settle(): void {
      signal.removeEventListener('abort', onAbort)
      waiting.delete(onStall)
    }

    signal.addEventListener('abort', onAbort)
    if (isRead(request.method)) waiting.add(onStall)

    // undici accepts any iterable of bytes; its types do not say so.
    pool.dispatch(request as Dispatcher.DispatchOptions, {
      onRequestStart(started) {
        controller = started
        if (signal.aborted) onAbort()
      },
      onResponseStart(started, statusCode, headers) {
        // "100 Continue" and "103 Early Hints" come before the answer.
        if (statusCode < 200) return
        answer = { statusCode, headers }
        const isEmpty = request.method === 'HEAD' || statusCode === 204 || statusCode === 304
        if (isEmpty || Number(headers['content-length']) <= SMALL_BYTES) return

        waiting.delete(onStall)
        stream = new Readable({
          read: () => started.resume(),
          destroy(error, done) {
            if (!this.readableEnded) started.abort(error ?? new Error('Nobody reads the answer'))
            done(error)
          },
        })
        resolve({ ...answer, body: stream })
      },
      onResponseData(started, chunk) {
        if (!stream) chunks.push(chunk)
        else if (!stream.push(chunk)) started.pause()
      },
      onResponseEnd() {
        settle()
        if (stream) stream.push(null)
        else if (answer) resolve({ ...answer, body: chunks.length > 1 ? Buffer.concat(chunks) : chunks[0] })
      },
      onResponseError(_controller, error) {
        settle()
        const failure = new ExchangeFailed(error, controller !== undefined)
        if (stream) stream.destroy(failure.toAnswer())
        else reject(failure)
      },
    })
  })
}
