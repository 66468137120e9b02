import { once } from 'node:events'
import { request as rawRequest, type IncomingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { callSecretsEnv, createTokenIssuer } from '@repo/calls'
import { parseEnv } from '@repo/config'
import type { NodeProcess } from '@repo/testing'
import { pollUntil } from '@repo/testing/poll-until'
import { Type } from 'typebox'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openHouse, type Fixture, type House } from './start-edge.ts'

let house: House
let inner: Fixture
let outer: Fixture
let edge: string

beforeAll(async () => {
  house = await openHouse()
  ;[outer, inner] = await Promise.all([
    house.service('/api/outer', 1, { LOG_LEVEL: 'info' }),
    house.service('/api/outer/inner', 1),
  ])
  edge = await house.edge([outer.upstream(), inner.upstream()])
})
afterAll(() => house[Symbol.asyncDispose]())

/** Sends the path as it is; `fetch` would normalize it. */
async function send(
  path: string,
  {
    method = 'GET',
    headers = {},
    to = edge,
  }: { method?: string; headers?: IncomingHttpHeaders; to?: string } = {},
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  const { hostname, port } = new URL(to)
  const request = rawRequest({ hostname, port, path, method, headers, agent: false }).end()
  const [response] = await once(request, 'response')
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

/** The prefix of the service that answered. */
async function prefixOf(path: string): Promise<string> {
  return JSON.parse((await send(path)).body).prefix
}

test('the longest prefix owns a path, in whole segments', async () => {
  expect(await prefixOf('/api/outer')).toBe('/api/outer')
  expect(await prefixOf('/api/outer/inner')).toBe('/api/outer/inner')
  expect(await prefixOf('/api/outer/inner?x=/api/outer')).toBe('/api/outer/inner')

  for (const path of ['/api/outerspace', '/api/oute', '/api', '/api/', '/api/outer%2finner', '/api/OUTER']) {
    const { status, headers } = await send(path)
    expect([path, status]).toEqual([path, path.includes('%2f') ? 400 : 404])
    expect(headers['content-type']).toBe('application/problem+json')
  }
})

test('no trick with a path reaches a service other than the one that its literal prefix names', async () => {
  const tricks = [
    '/api/outer/../outer/inner',
    '/api/outer/inner/..',
    '/api/outer/inner/.',
    '/api/outer/./inner',
    '/api/outer/%2e%2e/outer/inner',
    '/api/outer/%2E/inner',
    '/api/outer/.%2e/x',
    '/api/outer//inner',
    '//api/outer/inner',
    '/api//outer/inner',
    '/api/outer%2Finner',
    '/api/outer/inner%2f..%2f..',
    '/api/outer\\inner',
    '/api/outer%5cinner',
    '/api/outer/..;/inner',
    '/api/outer/inner%00',
    '/%61pi/outer/inner',
    '/api/%6futer/inner',
    '/api/outer#/../inner',
    '/API/outer/inner',
    '/api/outer/%',
    '/api/outer/%c0%ae%c0%ae/inner',
    '/api/outer/%252e%252e/outer/inner',
  ]
  for (const path of tricks) {
    const { status, headers } = await send(path)
    expect([path, status]).toEqual([path, expect.toSatisfy((code: number) => code === 400 || code === 404)])
    expect(headers['content-type']).toMatch('application/problem+json')
    // If a service got the request, it is the one that the first segments name.
    const answered = headers['x-process'] ?? ''
    if (answered) expect([path, answered]).toEqual([path, '/api/outer.1'])
  }
})

test('a target in absolute form is served, and the host that it names counts', async () => {
  const headers = { host: 'evil.example' }
  const { status, body } = await send('http://shop.example/api/outer/headers?a=1', { headers })
  expect(status).toBe(200)
  expect(JSON.parse(body)).toMatchObject({ 'x-forwarded-host': 'shop.example' })
  expect(await prefixOf('HTTPS://shop.example/api/outer/inner')).toBe('/api/outer/inner')
  expect((await send('http://shop.example')).status).toBe(200)
  for (const path of [
    'http://shop.example/api/outer/../outer',
    'http://a@shop.example/api/outer',
    'ftp://a/api/outer',
  ]) {
    expect([path, (await send(path)).status]).toEqual([
      path,
      expect.toSatisfy((code: number) => code === 400 || code === 404),
    ])
  }
  expect(await send('*', { method: 'OPTIONS' })).toMatchObject({ status: 204, body: '' })
})

test('a WebSocket is refused with an explanation, and other upgrade headers are ignored', async () => {
  const [refused, passed] = await Promise.all(
    ['websocket', 'h2c'].map((upgrade) =>
      send('/api/outer/headers', { headers: { connection: 'upgrade', upgrade } }),
    ),
  )
  expect([refused!.status, JSON.parse(refused!.body).code]).toEqual([501, 'UPGRADE_UNSUPPORTED'])
  expect(passed!.status).toBe(200)
})

test('a path and its query are forwarded byte for byte', async () => {
  const path = '/api/outer/stream?mib=0&q=a%20b+c&%C3%A9=%2F..%2F'
  expect((await send(path)).status).toBe(200)
})

test('headers of the connection are not forwarded, in either direction', async () => {
  const { body } = await send('/api/outer/headers', {
    headers: {
      connection: 'keep-alive, x-mine',
      'x-mine': '1',
      'keep-alive': 'timeout=1',
      'proxy-connection': 'x',
      te: 'trailers',
      upgrade: 'h2c',
      'x-kept': 'yes',
    },
  })
  const seen = JSON.parse(body)
  expect(seen).toMatchObject({ 'x-kept': 'yes', connection: 'keep-alive' })
  for (const name of ['x-mine', 'keep-alive', 'proxy-connection', 'te', 'upgrade']) {
    expect(seen).not.toHaveProperty(name)
  }

  const { status, headers } = await send('/api/outer/hop')
  expect(status).toBe(207)
  expect(headers).toMatchObject({ 'x-kept': 'of this message', 'set-cookie': ['a=1', 'b=2'] })
  expect(headers).not.toHaveProperty('x-secret')
})

// keep: calls
test('a route for services alone is no path to whoever asks through a proxy, with a token or without one', async () => {
  const { FIXTURE_CALL_SECRETS: secrets } = parseEnv(Type.Object(callSecretsEnv('fixture')), {
    NODE_ENV: 'test',
  })
  const token = await createTokenIssuer({ issuer: 'orders', audience: 'fixture', secrets })('ada')
  const [process] = outer.processes as [NodeProcess]
  const ask = async (path: string, to: string, headers: IncomingHttpHeaders) => {
    const { status, headers: sent, body } = await send(path, { to, headers })
    const { date: _, 'x-request-id': id, ...rest } = sent
    return { status, rest, body: body.replaceAll(String(id), '') }
  }
  const held = { 'x-service-token': token }
  expect(await ask('/api/outer/internal', process.url, held)).toMatchObject({
    status: 200,
    body: JSON.stringify({ service: 'orders', userId: 'ada' }),
  })

  // The edge removes the token; an ingress does not.
  const asAnIngress = { ...held, 'x-forwarded-for': '192.0.2.1' }
  for (const [to, headers] of [
    [edge, held],
    [edge, {}],
    [process.url, asAnIngress],
    [process.url, {}],
  ] as const) {
    const unknown = await ask('/api/outer/nowhere', to, headers)
    expect(unknown.status).toBe(404)
    expect(await ask('/api/outer/internal', to, headers)).toEqual(unknown)
  }
  const seen = JSON.parse((await send('/api/outer/headers', { headers: held })).body)
  expect(seen).not.toHaveProperty('x-service-token')
  await pollUntil('it is logged', () => process.output().includes('/api/outer/internal'))
  for (const part of token.split('.')) expect(process.output()).not.toContain(part)
})
// /keep

test('a service gets the address of the client, and forwarded headers of the client itself are not trusted', async () => {
  const forged = {
    host: 'shop.example',
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-prefix': '/evil',
    'x-real-ip': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
  }
  const seen = JSON.parse((await send('/api/outer/headers', { headers: forged })).body)
  expect(seen).toMatchObject({
    host: new URL(outer.processes[0]!.url).host,
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'shop.example',
  })
  for (const name of ['x-real-ip', 'forwarded', 'x-forwarded-prefix']) expect(seen).not.toHaveProperty(name)
})

test('a proxy named in TRUST_PROXY is trusted, and what it got from others is not', async () => {
  const trusting = await house.edge([outer.upstream()], { TRUST_PROXY: ['loopback'] })
  const { body } = await send('/api/outer/headers', {
    to: trusting,
    headers: {
      host: 'inside',
      'x-forwarded-for': '6.6.6.6, 9.9.9.9, 127.0.0.2',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'shop.example',
    },
  })
  expect(JSON.parse(body)).toMatchObject({
    'x-forwarded-for': '9.9.9.9, 127.0.0.2, 127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
  })
})

test('what the platform asks the edge answers to its own path alone, and in development to this machine alone', async () => {
  for (const path of [
    '/%72eadyz',
    '/%6Detrics',
    '//metrics',
    '/READYZ',
    '/livez/',
    '/openapi.json;x',
    '/livez#x',
  ]) {
    expect([path, (await send(path)).status]).toEqual([path, 404])
  }
  const local = await house.edge([outer.upstream()], { NODE_ENV: 'development' })
  for (const path of ['/', '/readyz', '/api/outer/headers']) {
    const rebound = await send(path, { to: local, headers: { host: 'rebound.example' } })
    expect([path, rebound.status]).toEqual([path, 421])
    expect([path, (await send(path, { to: local, headers: { host: 'app.localhost' } })).status]).toEqual([
      path,
      200,
    ])
  }
})

test('a request keeps its name and its trace', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const sent = { 'x-request-id': 'request-from-outside', traceparent: `00-${traceId}-b7ad6b7169203331-01` }
  const { body, headers } = await send('/api/outer/headers', { headers: sent })
  const seen = JSON.parse(body)
  expect(seen['x-request-id']).toBe('request-from-outside')
  expect(headers['x-request-id']).toBe('request-from-outside')
  expect(seen.traceparent).toMatch(new RegExp(`^00-${traceId}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`))
  expect(JSON.parse((await send('/api/outer/headers')).body).traceparent).toMatch(/^00-[0-9a-f]{32}-/)
})

test('answers without a body, and bodies of any type, arrive as they are', async () => {
  expect(await send('/api/outer/nothing')).toMatchObject({ status: 204, body: '' })
  const same = await send('/api/outer/same')
  expect(same).toMatchObject({ status: 304, body: '', headers: { etag: '"1"' } })
  expect(same.headers).not.toHaveProperty('content-length')
  const head = await send('/api/outer/headers', { method: 'HEAD' })
  expect(head).toMatchObject({ status: 200, body: '' })
  expect(Number(head.headers['content-length'])).toBeGreaterThan(0)

  for (const headers of [{}, { 'content-length': '0' }]) {
    expect(await send('/api/outer/headers', { method: 'PUT', headers })).toMatchObject({ status: 200 })
  }
  const refused = await fetch(`${edge}/api/outer`, { method: 'POST', body: '<not json>' })
  expect(refused.status).toBe(415)
  expect(await refused.json()).toMatchObject({ code: 'MEDIA_TYPE_UNSUPPORTED' })
})

test('the client gets the error of a service unchanged', async () => {
  const { status, headers, body } = await send('/api/outer/there-is-no-such-route')
  expect(status).toBe(404)
  expect(headers['content-type']).toBe('application/problem+json')
  expect(JSON.parse(body)).toMatchObject({ code: 'ROUTE_NOT_FOUND', requestId: headers['x-request-id'] })
})
