import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pollUntil } from '@repo/testing/poll-until'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createCallee, openRotation, type Call, type Callee, type Work } from '../src/index.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

interface Place extends AsyncDisposable {
  url: string
  /** How it answers; `/readyz` is 200. */
  handler: Handler
  /** What it was asked. */
  asked: string[]
}

const answer: Handler = (_request, response) => void response.end('fine')
const breakOff: Handler = ({ socket }) => void socket.destroy()
const stall: Handler = () => {}

async function openPlace(): Promise<Place> {
  const place = { handler: answer, asked: [] as string[] }
  const server = createServer((request, response) => {
    if (request.url === '/readyz') return void response.end()
    const key = request.headers['idempotency-key']
    place.asked.push(`${request.method} ${request.url}${key ? ` ${key}` : ''}`)
    place.handler(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(place, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  })
}

let resources: AsyncDisposableStack
let places: [Place, Place]
let callee: Callee

beforeEach(async () => {
  resources = new AsyncDisposableStack()
  places = [resources.use(await openPlace()), resources.use(await openPlace())]
  const rotation = resources.use(
    await openRotation({
      urls: places.map(({ url }) => new URL(url)),
      probeEveryMs: 20,
      timeoutMs: 5000,
      onChange() {},
    }),
  )
  callee = createCallee(rotation)
})
afterEach(() => resources.disposeAsync())

function breakBoth(handler: Handler): void {
  for (const place of places) place.handler = handler
}

/** The code of the error, or the answer. */
async function outcomeOf(call: Partial<Call>, work?: Work): Promise<string> {
  try {
    const { body } = await callee.send({ method: 'GET', path: '/items', ...call }, work)
    return String(body)
  } catch (error) {
    return (error as { code: string }).code
  }
}

const timesAsked = (): number => places.reduce((sum, { asked }) => sum + asked.length, 0)

test('successive calls go to successive processes', async () => {
  for (let n = 0; n < 6; n++) expect(await outcomeOf({})).toBe('fine')
  expect(places.map(({ asked }) => asked.length)).toEqual([3, 3])
})

test('a read that breaks off goes to another process, and so does a write with a key; no other write does', async () => {
  places[0].handler = breakOff
  // A process that broke off gets no call until the next probe.
  const untilAsked = async (what: string, call: Partial<Call>): Promise<string[]> => {
    const outcomes: string[] = []
    const isAsked = async (): Promise<boolean> => {
      outcomes.push(await outcomeOf(call))
      return places[0].asked.includes(what)
    }
    await pollUntil(`the first process gets ${what}`, isAsked)
    return outcomes
  }
  expect(new Set(await untilAsked('GET /items', {}))).toEqual(new Set(['fine']))
  const keyed = await untilAsked('POST /items "a"', { method: 'POST', idempotencyKey: 'a' })
  expect(new Set(keyed)).toEqual(new Set(['fine']))
  expect((await untilAsked('POST /items', { method: 'POST' })).at(-1)).toBe('SERVICE_BROKE_OFF')
})

test('a call that was not sent goes to another process, whatever its method', async () => {
  await places[0][Symbol.asyncDispose]()
  for (let n = 0; n < 4; n++) expect(await outcomeOf({ method: 'POST' })).toBe('fine')
})

test('of many calls that break off, only a part is sent again', async () => {
  breakBoth(breakOff)
  const outcomes = await Promise.all(Array.from({ length: 50 }, () => outcomeOf({})))
  expect(new Set(outcomes)).toEqual(new Set(['SERVICE_BROKE_OFF']))
  // Ten, and a fifth of the fifty.
  expect(timesAsked()).toBeLessThanOrEqual(50 + 20)
  expect(timesAsked()).toBeGreaterThan(50)
})

test('a call ends before its caller has no time left, and the callee learns that nobody waits', async () => {
  breakBoth(stall)
  const closed = new Promise<void>((resolve) => breakBoth(({ socket }) => void socket.once('close', resolve)))
  const startedAt = performance.now()
  expect(await outcomeOf({ method: 'POST' }, { deadline: startedAt + 400 })).toBe('SERVICE_TIMEOUT')
  expect(performance.now() - startedAt).toBeLessThan(400)
  await closed
  expect(await outcomeOf({}, { deadline: performance.now() })).toBe('SERVICE_TIMEOUT')
  expect(timesAsked()).toBe(1)
})

test('the callee is told the trace, the request id and how much time there is, and nothing of the client', async () => {
  const heard: IncomingMessage['headers'][] = []
  breakBoth((request, response) => {
    heard.push(request.headers)
    response.end()
  })
  const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` }
  const client = { headers: { cookie: 'session=1', authorization: 'Basic 1' } }
  await callee.send({ method: 'GET', path: '/' }, { id: 'request-1', trace, ...client })
  await callee.send({ method: 'GET', path: '/' }, { deadline: performance.now() + 600 })
  const [first, second] = heard.map(({ 'x-envoy-expected-rq-timeout-ms': left, ...others }) => ({
    leftMs: Number(left),
    others,
  }))
  expect(first!.others).toEqual({
    'x-request-id': 'request-1',
    ...trace,
    host: expect.any(String) as string,
    connection: 'keep-alive',
  })
  expect(first!.leftMs).toBeGreaterThan(1500)
  expect(first!.leftMs).toBeLessThanOrEqual(2000)
  expect(second!.leftMs).toBeLessThanOrEqual(500)
})

test('without a deadline a call takes two seconds at most', async () => {
  breakBoth(stall)
  const startedAt = performance.now()
  expect(await outcomeOf({ method: 'POST' })).toBe('SERVICE_TIMEOUT')
  expect(performance.now() - startedAt).toBeGreaterThan(1900)
})

test('no more than a hundred calls are under way', async () => {
  breakBoth(stall)
  const stop = new AbortController()
  const under = Array.from({ length: 100 }, () => outcomeOf({ method: 'POST' }, { signal: stop.signal }))
  expect(await outcomeOf({})).toBe('SERVICE_BUSY')
  stop.abort()
  await Promise.all(under)
  breakBoth(answer)
  expect(await outcomeOf({})).toBe('fine')
})

test('a service without a process is unavailable, and the answer says when to try again', async () => {
  for (const place of places) await place[Symbol.asyncDispose]()
  await expect(callee.send({ method: 'GET', path: '/' })).rejects.toMatchObject({
    code: 'SERVICE_UNAVAILABLE',
    statusCode: 503,
    headers: { 'retry-after': '1' },
  })
})
