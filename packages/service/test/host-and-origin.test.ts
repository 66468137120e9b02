import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createService } from '../src/index.ts'
import { sendRaw } from './send-raw.ts'
import { testEnv } from './test-env.ts'

const env = { ...testEnv, PUBLIC_ORIGIN: 'https://Shop.example:8443' }
const strict = createService({ name: 'production', env: { ...env, NODE_ENV: 'production' } })
const local = createService({ name: 'development', env: { ...env, NODE_ENV: 'development' } })
for (const app of [strict, local]) app.all('/', { config: { access: 'public' } }, async () => 'hello')

let ports: { strict: number; local: number }

beforeAll(async () => {
  for (const app of [strict, local]) await app.listen({ port: 0, host: '127.0.0.1' })
  const portOf = ({ server }: typeof strict): number => (server.address() as AddressInfo).port
  ports = { strict: portOf(strict), local: portOf(local) }
})
afterAll(() => Promise.all([strict.close(), local.close()]))

/** The status and code of the answer to a request with these header lines. */
async function ask(port: number, lines: string[], path = '/', version = '1.1'): Promise<string> {
  const { status, body } = await sendRaw(
    port,
    `GET ${path} HTTP/${version}\r\n${lines.map((line) => `${line}\r\n`).join('')}connection: close\r\n\r\n`,
  )
  return body.startsWith('{"type"') ? `${status} ${JSON.parse(body).code}` : `${status}`
}

describe('a request that can be read in two ways is refused', () => {
  test.each([
    [['host: a.example', 'host: b.example']],
    [['host: a.example', 'Host: a.example']],
    [['host: a.example', 'HOST:']],
    [[]],
    [['host: a.example, b.example']],
    [['host: a.example b.example']],
    [['host: user@a.example']],
    [['host: a.example/path']],
    [['host: a.example:80:80']],
    [['host: http://a.example']],
    [['host: a.example', 'content-length: 0', 'content-length: 0']],
    [['host: a.example', 'content-length: 1', 'transfer-encoding: chunked']],
    [['host: a.example', 'authorization: Bearer a', 'Authorization: Bearer b']],
    [['host: a.example', 'content-type: text/plain', 'content-type: application/json']],
  ])('%j', async (lines) => {
    for (const path of ['/', '/livez', '/nowhere']) {
      expect([path, await ask(ports.strict, lines, path)]).toEqual([path, '400 REQUEST_MALFORMED'])
    }
  })

  test.each([
    [['host: a.example']],
    [['host: a.example:']],
    [['host: a_b.example.:8080']],
    [['host: [2001:db8::1]:443']],
    [['host:']],
    [['host: a.example', 'cookie: a=1', 'cookie: b=2']],
    [['host: a.example', 'x-forwarded-for: 192.0.2.1', 'x-forwarded-for: 192.0.2.2']],
    [['host: a.example', 'accept: a/b', 'accept: c/d']],
  ])('and %j is not', async (lines) => {
    expect(await ask(ports.strict, lines)).toBe('200')
  })

  test('by HTTP/1.0, which knows no host, only where there are two', async () => {
    expect(await ask(ports.strict, [], '/', '1.0')).toBe('200')
    expect(await ask(ports.strict, ['host: a.example', 'host: b.example'], '/', '1.0')).toBe(
      '400 REQUEST_MALFORMED',
    )
  })
})

test.each([
  'localhost',
  'LOCALHOST:3000',
  'app.localhost',
  '127.0.0.1:3000',
  '127.1.2.3',
  '[::1]:3000',
  'shop.example',
])('in development a process answers for %s', async (host) => {
  expect(await ask(ports.local, [`host: ${host}`])).toBe('200')
})

test.each([
  'rebound.example',
  'localhost.example',
  '127.0.0.1.example',
  'notlocalhost',
  '192.168.0.1',
  '0.0.0.0',
  '',
])('in development a process does not answer for "%s", nor tell how it is', async (host) => {
  for (const path of ['/', '/readyz', '/openapi.json', '/nowhere']) {
    expect([path, await ask(ports.local, [`host: ${host}`], path)]).toEqual([path, '421 HOST_REJECTED'])
  }
  expect(await ask(ports.strict, [`host: ${host}`])).toBe('200')
})

const app = createService({ name: 'origins', env: testEnv })
app.route({
  method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
  url: '/',
  config: { access: 'public' },
  handler: async () => 'done',
})

const ours = testEnv.PUBLIC_ORIGIN

test.each([
  ['a program, which says nothing', {}],
  ['our page', { origin: ours, 'sec-fetch-site': 'same-origin' }],
  ['our page in an old browser', { origin: ours }],
  [
    'our page, through a balancer that the browser takes for another site',
    { origin: ours, 'sec-fetch-site': 'cross-site' },
  ],
  [
    'a page of the very host that was asked',
    { origin: 'https://127.0.0.1', 'sec-fetch-site': 'same-origin' },
  ],
  ['the user, by typing', { 'sec-fetch-site': 'none' }],
])('%s may change something', async (_who, headers) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    expect((await app.inject({ method, url: '/', headers })).statusCode).toBe(200)
  }
})

test.each([
  ['another site', { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }],
  ['another site in an old browser', { origin: 'https://elsewhere.example' }],
  ['a neighbour under our domain', { origin: 'https://blog.example.com', 'sec-fetch-site': 'same-site' }],
  ['our host over plain http', { origin: 'http://example.com' }],
  ['our host on another port', { origin: 'https://example.com:8443' }],
  ['a host that begins like ours', { origin: 'https://example.com.elsewhere.example' }],
  ['a sandboxed frame', { origin: 'null' }],
  ['a page that hides its origin', { 'sec-fetch-site': 'cross-site' }],
])('%s may not, and may still read', async (_who, headers) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    const answer = await app.inject({ method, url: '/', headers })
    expect(answer.json()).toMatchObject({ status: 403, code: 'ORIGIN_REJECTED' })
  }
  expect((await app.inject({ url: '/', headers })).statusCode).toBe(200)
})

test('the check comes before the question whether there is such a route', async () => {
  const headers = { origin: 'https://elsewhere.example' }

  expect((await app.inject({ method: 'POST', url: '/nowhere', headers })).statusCode).toBe(403)
})
