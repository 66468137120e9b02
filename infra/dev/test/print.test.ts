import { expect, test } from 'vitest'
import { readLogLine } from '../print.ts'

const line = (entry: object): string =>
  JSON.stringify({
    level: 'info',
    time: '2026-11-22T07:14:03.123Z',
    service: 'accounts',
    process: 'accounts.1',
    ...entry,
  })

test('a request is one short line', () => {
  const request = {
    method: 'GET',
    path: '/api/x',
    route: '/api/:id',
    status: 404,
    problem: 'X_NOT_FOUND',
    durationMs: 1.5,
  }
  const ids = { trace_id: 'abc', request_id: '0b65d1c2-4d5e-4f60-8f2c-2f1e7a3b9c11' }
  expect(readLogLine(line({ ...request, ...ids, msg: 'request' }))).toEqual({
    time: '07:14:03',
    level: 'info',
    text: 'GET /api/x 404 X_NOT_FOUND 1.5 ms',
    details: 'request=0b65d1c2',
    stack: [],
  })
})

test('an error is told with its causes, and with the places in our own files', () => {
  const stack =
    'Error: no\n    at own (file:///a/apps/x.ts:1:1)\n    at (node:internal/y:1:1)\n    at (/node_modules/z.js:1:1)'
  const err = { message: 'no', stack, cause: { message: 'refused' } }
  expect(readLogLine(line({ level: 'error', msg: 'failed', err, check: 'database' }))).toMatchObject({
    level: 'error',
    text: 'failed: no: refused',
    details: 'check=database',
    stack: ['    at own (file:///a/apps/x.ts:1:1)'],
  })
})

test('anything that is no log line is left as it is', () => {
  for (const text of ['hello', '{"level":"info', '{"a":1}', '']) expect(readLogLine(text)).toBeNull()
})
