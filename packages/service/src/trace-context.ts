import { randomBytes } from 'node:crypto'

/** Where a request belongs among all that one click set off. @see https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  traceId: string
  /** Of this process's part. */
  spanId: string
  /** The header to send along when this process asks another one. */
  traceparent: string
}

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(?:$|-)/

/** Goes on with the trace of the caller's `traceparent`, else starts one. */
export function continueTrace(header: string | string[] | undefined): TraceContext {
  const [, traceId = newTraceId(), flags = '01'] = TRACEPARENT.exec(String(header)) ?? []
  const spanId = randomBytes(8).toString('hex')
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

function newTraceId(): string {
  return randomBytes(16).toString('hex')
}
