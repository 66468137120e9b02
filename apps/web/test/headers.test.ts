import { expectLinear } from '@repo/testing/expect-linear'
import { expect, test } from 'vitest'
import { endToEnd } from '../src/headers.ts'

test('what `connection` names goes no further, however it is spaced', () => {
  const headers = { connection: 'close ,X-One,\tx-two , ', 'x-one': '1', 'x-two': '2', 'x-three': '3' }
  expect(endToEnd(headers)).toEqual({ 'x-three': '3' })
})

test('the work on headers grows with them, and not faster', async () => {
  await expectLinear((connection) => endToEnd({ connection }))
})
