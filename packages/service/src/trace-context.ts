import { randomUUID } from 'node:crypto'

/** Where a request belongs among all that one click set off. @see https://www.w3.org/TR/trace-context/ */
export interface TraceContext {
  traceId: string
  /** Of this process's part. */
  spanId: string
  /** The header to send along when this process asks another one. */
  traceparent: string
}

const TRACEPARENT =
  /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(?:$|(?<!^00.*)-)/

/** Goes on with the trace of the caller's `traceparent`, else starts one. */
export function continueTrace(header: string | string[] | undefined): TraceContext {
  const [, traceId = randomHex(), flags = '01'] = TRACEPARENT.exec(String(header)) ?? []
  const spanId = randomHex().slice(16)
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

/** Node makes UUIDs many at a time; asking the system for bytes cost a tenth of a small request. */
function randomHex(): string {
  return randomUUID().replaceAll('-', '')
}
