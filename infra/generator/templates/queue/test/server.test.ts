import { fleet, type Fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

// Successive requests reach different processes, so each process must know what was stored through the other.

let service: Fleet
beforeAll(async () => {
  service = await fleet(new URL('..', import.meta.url), { process: 'any-name' })
})
afterAll(() => service[Symbol.asyncDispose]())

test('an item that one process adds is read from the other', async () => {
  const added = await service.request('/api/any-name', { method: 'POST', json: { title: 'one' } })
  const item = await added.json()
  expect([added.status, item]).toMatchObject([201, { title: 'one' }])
  const read = await service.request(added.headers.get('location')!)
  expect(read.headers.get('x-process')).not.toBe(added.headers.get('x-process'))
  expect(await read.json()).toMatchObject({ title: 'one' })
  expect(await (await service.request('/api/any-name')).json()).toMatchObject({ items: [{ title: 'one' }] })
})

test.each([
  ['GET', '/nothing', undefined, 400, 'REQUEST_INVALID'],
  ['GET', '/00000000-0000-4000-8000-000000000000', undefined, 404, 'ANY_NAME_ITEM_NOT_FOUND'],
  ['POST', '', { title: '' }, 400, 'REQUEST_INVALID'],
  ['POST', '', { title: '\u0000' }, 400, 'REQUEST_INVALID'],
])('%s %s %j is answered %i %s', async (method, path, json, status, code) => {
  const answer = await service.request(`/api/any-name${path}`, { method, json })
  expect([answer.status, await answer.json()]).toMatchObject([status, { code }])
})
