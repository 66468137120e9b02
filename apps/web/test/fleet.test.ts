import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildPage, openHouse, type Fixture, type House } from './start-edge.ts'

const APP = join(import.meta.dirname, '..')

let house: House
let pair: Fixture

beforeAll(async () => {
  const page = join(APP, 'dist/page')
  if (!existsSync(page)) await buildPage(page)
  house = await openHouse()
  pair = await house.service('/api/pair', 2)
})
afterAll(() => house[Symbol.asyncDispose]())

test('whichever edge a request reaches, page and services are the same', async () => {
  await using edges = await fleet(APP, { env: { UPSTREAMS: pair.upstream() } })
  const [first, second] = [await edges.request('/'), await edges.request('/')]
  expect([first.headers.get('x-process'), second.headers.get('x-process')]).toEqual(['web.1', 'web.2'])
  expect(first.headers.get('etag')).toBe(second.headers.get('etag'))
  const html = await first.text()
  expect(await second.text()).toBe(html)

  const [, asset] = /src="([^"]+)"/.exec(html)!
  for (const path of [asset!, asset!, '/api/pair', '/api/pair', '/livez', '/readyz', '/openapi.json']) {
    expect([path, (await edges.request(path)).status]).toEqual([path, 200])
  }
  const posted = [await edges.request('/api/pair', { method: 'POST', json: { id: '1' } })]
  posted.push(await edges.request('/api/pair', { method: 'POST', json: { id: '2' } }))
  expect(posted.map(({ status }) => status)).toEqual([200, 200])

  const crossSite = { headers: { origin: 'https://elsewhere.example' } }
  for (const init of [crossSite, crossSite]) {
    const { status } = await edges.request('/api/pair', { method: 'POST', json: { id: 'no' }, ...init })
    expect(status).toBe(403)
  }
  expect(await pair.done()).toEqual(['1', '2'])
})

test('an edge that is stopped finishes what it has begun', async () => {
  await using edges = await fleet(APP, { env: { UPSTREAMS: pair.upstream(), DRAIN_MS: '0' } })
  const slow = edges.request('/api/pair/slow?ms=500', { process: 1 })
  const stream = edges.request('/api/pair/stream?mib=20', { process: 1 })
  const { body } = await stream
  const stopping = edges.stop(1)
  let bytes = 0
  for await (const chunk of body!) bytes += (chunk as Buffer).length
  expect(bytes).toBe(20 * 1024 * 1024)
  expect((await slow).status).toBe(200)
  expect(await stopping).toMatchObject({ code: 0 })
})
