import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fleet } from '@repo/testing'
import { pollUntil } from '@repo/testing/poll-until'
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

test('an edge that is stopped ends event streams at once, and they go on through the other', async () => {
  await using edges = await fleet(APP, { env: { UPSTREAMS: pair.upstream(), DRAIN_MS: '2000' } })
  const first = await edges.request('/api/pair/events', { process: 1 })
  expect(first.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const stopping = edges.stop(1)
  const [lastId] = (await first.text()).match(/(?<=id: )\d+(?!.*id: )/s) ?? []
  expect(Number(lastId)).toBeGreaterThan(0)

  const gone = new AbortController()
  const again = await edges.request('/api/pair/events', {
    process: 2,
    headers: { 'last-event-id': lastId! },
    signal: gone.signal,
  })
  const next = `id: ${Number(lastId) + 1}\n`
  let text = ''
  await expect(async () => {
    for await (const piece of again.body!) {
      text += Buffer.from(piece as Uint8Array).toString()
      if (text.includes('\n\nid:')) gone.abort()
    }
  }).rejects.toThrow('aborted')
  expect(text).toContain(`retry: 1000\n\n${next}`)
  expect(await stopping).toMatchObject({ code: 0 })
  // Both edges have closed their connection to the service.
  await pollUntil('both are closed', async () => {
    return (await pair.done()).filter((line) => line === 'events closed').length === 2
  })
})

test('a service that is stopped ends event streams at once, through the edge as well', async () => {
  await using edges = await fleet(APP, { processes: 1, env: { UPSTREAMS: pair.upstream() } })
  const streams = await Promise.all([1, 2].map(() => edges.request('/api/pair/events')))
  const texts = streams.map((stream) => stream.text())
  const stopped = pair.processes.map((running) => running.stop(10_000))
  for (const text of texts) expect(await text).toMatch(/^retry: 1000\n\nid: 1\n/)
  await Promise.all(stopped)
  await pair.reset()
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
