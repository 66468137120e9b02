import { fleet, type Fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

// Successive requests reach different processes, so each process must give the same answer.

let service: Fleet
beforeAll(async () => {
  service = await fleet(new URL('..', import.meta.url), { process: 'any-name' })
})
afterAll(() => service[Symbol.asyncDispose]())

test('every process greets whoever asks', async () => {
  for (const n of [1, 2]) {
    const answer = await service.request('/api/any-name?name=Ada')
    expect([answer.status, await answer.json()]).toEqual([200, { greeting: 'Hello, Ada' }])
    expect(answer.headers.get('x-process')).toBe(`any-name.${n}`)
  }
})

test('a name that is too long is a clear problem', async () => {
  const answer = await service.request(`/api/any-name?name=${'x'.repeat(101)}`)
  expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'REQUEST_INVALID' }])
})
