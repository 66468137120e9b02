import { expect, test } from 'vitest'
import { continueTrace } from '../src/request-log.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const PARENT_ID = 'b7ad6b7169203331'

test('a trace goes on under its id and flags, as a span of its own', () => {
  const { traceId, spanId, traceparent } = continueTrace(`00-${TRACE_ID}-${PARENT_ID}-00`)

  expect(traceId).toBe(TRACE_ID)
  expect(spanId).not.toBe(PARENT_ID)
  expect(traceparent).toBe(`00-${TRACE_ID}-${spanId}-00`)
})

test('a later version of the header is read as far as we know it', () => {
  expect(continueTrace(`01-${TRACE_ID}-${PARENT_ID}-01-more`).traceId).toBe(TRACE_ID)
})

test.each([
  undefined,
  '',
  'garbage',
  `ff-${TRACE_ID}-${PARENT_ID}-01`,
  `00-${'0'.repeat(32)}-${PARENT_ID}-01`,
  `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
  `00-${TRACE_ID.toUpperCase()}-${PARENT_ID}-01`,
  `00-${TRACE_ID}-${PARENT_ID}-012`,
  `00-${TRACE_ID}-${PARENT_ID}-01-more`,
])('%s starts a new trace', (header) => {
  const one = continueTrace(header)
  const other = continueTrace(header)

  expect(one.traceparent).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/)
  expect(one.traceId).not.toBe(TRACE_ID)
  expect(one.traceId).not.toBe(other.traceId)
})
