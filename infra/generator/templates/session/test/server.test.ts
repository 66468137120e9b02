import { fleet, type Fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { signedIn } from './signed-in.ts'

// Successive requests reach different processes, so a user who is signed in must be known to each.

let service: Fleet
beforeAll(async () => {
  service = await fleet(new URL('..', import.meta.url), { process: 'any-name' })
})
afterAll(() => service[Symbol.asyncDispose]())

test('every process greets who is signed in', async () => {
  const ada = await signedIn(service, 'ada')
  for (const n of [1, 2]) {
    const answer = await ada.request('/api/any-name')
    expect([answer.status, await answer.json()]).toEqual([200, { greeting: 'Hello, ada' }])
    expect(answer.headers.get('x-process')).toBe(`any-name.${n}`)
  }
})

test('nobody else is greeted', async () => {
  const answer = await service.request('/api/any-name')
  expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'SIGNED_OUT' }])
})
