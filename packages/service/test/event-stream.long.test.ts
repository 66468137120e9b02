import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createService, sendEvents, type ServerSentEvent } from '../src/index.ts'
import { startFixture } from './start-fixture.ts'
import { testEnv } from './test-env.ts'

const app = createService({ name: 'events', env: testEnv })
const config = { access: 'public' } as const
const ended: string[] = []
const aborted: string[] = []

app.get('/numbers', { config }, (request, reply) =>
  sendEvents(request, reply, async function* ({ lastEventId }): AsyncGenerator<ServerSentEvent> {
    for (let n = Number(lastEventId ?? 0) + 1; n <= 3; n++) yield { id: `${n}`, event: 'number', data: { n } }
    yield { data: 'two\nlines' }
  }),
)
app.get('/silence', { config }, (request, reply) =>
  sendEvents(
    request,
    reply,
    async function* ({ signal }) {
      signal.addEventListener('abort', () => aborted.push(request.id))
      try {
        await sleep(60_000, undefined, { signal, ref: false })
        yield { data: 'never' }
      } finally {
        ended.push(request.id)
      }
    },
    { heartbeatMs: 100 },
  ),
)
app.get('/short-lived', { config }, (request, reply) =>
  sendEvents(request, reply, ({ signal }) => endless(signal), { lifetimeMs: 200 }),
)
app.get('/breaks', { config }, (request, reply) =>
  sendEvents(request, reply, async function* () {
    yield { data: 1 }
    throw new Error('the store is gone')
  }),
)

async function* endless(signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
  for (let n = 0; ; n++) {
    yield { data: n }
    await sleep(50, undefined, { signal })
  }
}

let url: string
beforeAll(async () => {
  url = await app.listen({ port: 0, host: '127.0.0.1' })
})
afterAll(() => app.close())

test('events are framed, and go on after the one that the client has seen', async () => {
  const first = await fetch(`${url}/numbers`)
  expect(first.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
  expect(first.headers.get('cache-control')).toBe('no-store')
  const all = ['1', '2', '3'].map((n) => `id: ${n}\nevent: number\ndata: {"n":${n}}\n\n`)
  const end = String.raw`data: "two\nlines"` + '\n\n'
  expect(await first.text()).toBe(`retry: 1000\n\n${all.join('')}${end}`)
  const again = await fetch(`${url}/numbers`, { headers: { 'last-event-id': '2' } })
  expect(await again.text()).toBe(`retry: 1000\n\n${all[2]}${end}`)
})

test('the head comes at once and then heartbeats; a client that goes is noticed', async () => {
  const gone = new AbortController()
  const response = await fetch(`${url}/silence`, { signal: gone.signal })
  const id = response.headers.get('x-request-id')!
  let text = ''
  const reading = (async () => {
    for await (const piece of response.body!) text += Buffer.from(piece).toString()
  })()
  await pollUntil('heartbeats', () => text.endsWith(':\n\n:\n\n'))
  expect(aborted).not.toContain(id)
  gone.abort()
  await expect(reading).rejects.toThrow('aborted')
  await pollUntil('the source has ended', () => aborted.includes(id) && ended.includes(id))
})

test('a stream ends properly when its time is over, and is aborted when its source fails', async () => {
  expect(await (await fetch(`${url}/short-lived`)).text()).toMatch(/data: 0\n\ndata: 1\n\n/)
  await expect((await fetch(`${url}/breaks`)).text()).rejects.toThrow('terminated')
})

test('one stream too many is refused, until another is closed', async () => {
  const gone = new AbortController()
  const streams = await Promise.all(
    Array.from({ length: 256 }, () => fetch(`${url}/silence`, { signal: gone.signal })),
  )
  expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]))
  const refused = await fetch(`${url}/silence`)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
  expect(await refused.json()).toMatchObject({ code: 'EVENT_STREAMS_EXHAUSTED' })
  gone.abort()
  await pollUntil('room', async () => {
    const { status, body } = await fetch(`${url}/numbers`)
    await body?.cancel()
    return status === 200
  })
})

test('a process that is told to stop ends its streams at once, and still answers new ones', async () => {
  const service = await startFixture('server.ts', { DRAIN_MS: '500' })
  const streams = await Promise.all([1, 2].map(() => fetch(`${service.url}/events`)))
  service.kill('SIGTERM')
  for (const stream of streams) expect(await stream.text()).toMatch(/^retry: 1000\n\ndata: 0\n\n/)
  const late = await fetch(`${service.url}/events`)
  expect([late.status, await late.text()]).toEqual([200, 'retry: 1000\n\n'])
  expect(await service.exited).toEqual({ code: 0, signal: null })
})
