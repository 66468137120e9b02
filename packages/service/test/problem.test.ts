import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as errors from '../src/errors.ts'
import { createService } from '../src/index.ts'
import { sendRaw, type RawAnswer } from './send-raw.ts'
import { testEnv } from './test-env.ts'

const app = createService({
  name: 'problems',
  env: testEnv,
  bodyLimit: 1000,
  checks: { database: { check: () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:5432')) } },
})
const config = { access: 'public' } as const
const inDevelopment = createService({ name: 'problems', env: { ...testEnv, NODE_ENV: 'development' } })

app.post('/body', { config, schema: { body: Type.Object({ size: Type.Integer() }) } }, async () => 'read')
app.get('/items/:id', { config }, async () => 'found')
app.get('/slow', { config, handlerTimeout: 20 }, () => new Promise(() => {}))
app.get('/accident', { config }, async () => {
  throw new Error('password of 10.1.2.3 is hunter2')
})
app.get('/refused', { config }, async () => {
  throw Object.assign(new Error(), { statusCode: 418 })
})

app.get('/events', { config }, ({ server }, reply) => {
  for (;;) server.lifecycle.openStream(reply)
})
app.get('/stream', { config }, (_request, reply) => {
  const stream = new PassThrough()
  stream.write('begun')
  return reply.send(stream)
})

let port: number
let developmentPort: number

beforeAll(async () => {
  // Shorter than in production: how long Node waits for headers is not tested here.
  Object.assign(app.server, { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 20 })
  await app.listen({ port: 0, host: '127.0.0.1' })
  port = (app.server.address() as AddressInfo).port
  await inDevelopment.listen({ port: 0, host: '127.0.0.1' })
  developmentPort = (inDevelopment.server.address() as AddressInfo).port
})

afterAll(() => Promise.all([app.close(), inDevelopment.close()]))

const send = (line: string, headers = '', body = ''): Promise<RawAnswer> =>
  sendRaw(port, `${line} HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n${headers}\r\n${body}`)

const post = (body: string, type = 'application/json', headers = ''): Promise<RawAnswer> =>
  send(
    'POST /body',
    `content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n${headers}`,
    body,
  )

/** For each code, a request that gets it. */
const recipes: Record<string, () => Promise<RawAnswer>> = {
  BODY_MALFORMED: () => post('{"size": 1'),
  BODY_TOO_LARGE: () => post(JSON.stringify({ padding: 'x'.repeat(1000) })),
  ENCODING_UNSUPPORTED: () => post('{"size":1}', 'application/json', 'content-encoding: gzip\r\n'),
  EVENT_STREAMS_EXHAUSTED: () => send('GET /events'),
  HANDLER_TIMEOUT: () => send('GET /slow'),
  HEADERS_TOO_LARGE: () => send('GET /items/1', `x-long: ${'x'.repeat(20_000)}\r\n`),
  HOST_REJECTED: () =>
    sendRaw(developmentPort, 'GET / HTTP/1.1\r\nhost: elsewhere.example\r\nconnection: close\r\n\r\n'),
  INTERNAL_ERROR: () => send('GET /accident'),
  MEDIA_TYPE_UNSUPPORTED: () => post('size=1', 'text/plain'),
  METHOD_NOT_ALLOWED: () => send('PUT /items/1'),
  NOT_READY: () => send('GET /readyz'),
  ORIGIN_REJECTED: () => post('{"size":1}', 'application/json', 'origin: https://elsewhere.example\r\n'),
  REQUEST_INVALID: () => post('{"size":"1"}'),
  REQUEST_MALFORMED: () => sendRaw(port, 'THIS IS NOT HTTP\r\n\r\n'),
  REQUEST_REFUSED: () => send('GET /refused'),
  REQUEST_TIMEOUT: () => sendRaw(port, 'GET /items/1 HTTP/1.1\r\nhost: exa'),
  ROUTE_NOT_FOUND: () => send('GET /nowhere'),
  URL_MALFORMED: () => send('GET /items/%zz'),
  URL_TOO_LONG: () => send(`GET /items/${'x'.repeat(500)}`),
}

/** Rows of the README such as: | `BODY_MALFORMED` | 400 | ... | */
const documented = new Map(
  [
    ...readFileSync(new URL('../README.md', import.meta.url), 'utf8').matchAll(
      /^\| `([A-Z_]+)` +\| (\d{3}) /gm,
    ),
  ].map(([, code, status]) => [code!, Number(status)]),
)

test('every error code of the package is documented, and every documented code exists', () => {
  const known = Object.values(errors).map((KnownError) => new KnownError())

  expect(Object.fromEntries(documented)).toEqual(
    Object.fromEntries(known.map(({ code, statusCode }) => [code, statusCode])),
  )
})

test.each([...documented])(
  'a client can get %s, as a problem document with status %i',
  async (code, status) => {
    const answer = await recipes[code]!()

    // An error without a code keeps the status with which it was thrown.
    const expected = code === 'REQUEST_REFUSED' ? 418 : status
    expect(answer.head).toContain('content-type: application/problem+json\r\n')
    expect(answer.status).toBe(expected)
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'about:blank', status: expected, code })
    expect(answer.body + answer.head).not.toMatch(/hunter2|10\.1\.2\.3|\.ts|node_modules|fastify/i)
  },
)

describe('a problem says where the mistake is', () => {
  test('in a body by JSON pointer, each mistake once', async () => {
    const schema = Type.Object(
      {
        title: Type.String(),
        tags: Type.Array(Type.String()),
        kind: Type.Union([Type.Literal('a'), Type.Literal('b')]),
      },
      { additionalProperties: false },
    )
    const service = createService({ name: 'pointers', env: testEnv })
    service.post('/', { config, schema: { body: schema } }, async () => 'read')
    const answer = await service.inject({
      method: 'POST',
      url: '/',
      body: { tags: [1], kind: 'c', extra: true },
    })

    expect(answer.json().errors).toEqual([
      { pointer: '#/title', detail: 'is required' },
      { pointer: '#/extra', detail: 'is unknown' },
      { pointer: '#/tags/0', detail: 'must be string' },
      { pointer: '#/kind', detail: 'must match a schema in anyOf' },
    ])
  })

  test('in a query by the name of the parameter', async () => {
    const service = createService({ name: 'parameters', env: testEnv })
    service.get(
      '/',
      { config, schema: { querystring: Type.Object({ limit: Type.Integer() }) } },
      async () => 'read',
    )

    expect((await service.inject('/')).json().errors).toEqual([{ parameter: 'limit', detail: 'is required' }])
    expect((await service.inject('/?limit=x')).json().errors).toEqual([
      { parameter: 'limit', detail: 'must be integer' },
    ])
  })
})

test('what is thrown with a status, a code and headers is answered with them', async () => {
  const service = createService({ name: 'thrown', env: testEnv })
  service.get('/', { config }, async () => {
    throw Object.assign(new Error('Come back later.'), {
      statusCode: 503,
      code: 'STORE_UNAVAILABLE',
      headers: { 'retry-after': '1' },
    })
  })
  const answer = await service.inject('/')

  expect(answer.json()).toMatchObject({ status: 503, code: 'STORE_UNAVAILABLE', detail: 'Come back later.' })
  expect(answer.headers['retry-after']).toBe('1')
})

function set(reply: FastifyReply): void {
  reply.code(201).headers({
    'set-cookie': 'of=route',
    'cache-control': 'public, max-age=3600',
    'content-security-policy': 'default-src *',
    etag: '"1"',
    location: '/things/1',
    'content-disposition': 'attachment; filename="export.html"',
    'content-encoding': 'gzip',
  })
  reply.raw.setHeader('x-past-fastify', 'yes')
}

describe('an error shows nothing of the answer that its handler had prepared', () => {
  const service = createService({ name: 'half way', env: testEnv })
  service.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'x-ratelimit-remaining': '7', 'cache-control': 'no-cache', 'set-cookie': 'of=hook' })
  })
  const thrown = Object.assign(new Error('Come back later.'), {
    statusCode: 503,
    code: 'LATER',
    headers: { 'retry-after': '1' },
  })
  service.get('/throws', { config }, async (_request, reply) => {
    set(reply)
    throw thrown
  })
  service.get('/sends', { config }, (_request, reply) => {
    set(reply)
    void reply.send(Object.assign(new Error('No.'), { statusCode: 409, code: 'NO' }))
  })
  const response = { 201: Type.Object({ id: Type.String() }) }
  service.get('/breaks-its-schema', { config, schema: { response } }, async (_request, reply) => {
    set(reply)
    return {} as never
  })
  const onSend = async (_request: unknown, reply: FastifyReply): Promise<void> => {
    if (reply.statusCode === 201) throw thrown
  }
  service.get('/fails-in-a-hook', { config, onSend }, async (_request, reply) => {
    set(reply)
    return 'fine'
  })

  test.each([
    ['/throws', 503],
    ['/sends', 409],
    ['/breaks-its-schema', 500],
    ['/fails-in-a-hook', 503],
  ])('%s', async (url, status) => {
    const { headers, statusCode } = await service.inject(url)

    expect(statusCode).toBe(status)
    const plain = createService({ name: 'plain', env: testEnv })
    const expected = Object.keys((await plain.inject('/nowhere')).headers)
    const ofHooks = ['x-ratelimit-remaining', 'cache-control', 'set-cookie']
    const ofError = status === 503 ? ['retry-after'] : []
    expect(Object.keys(headers).sort()).toEqual([...expected, ...ofHooks, ...ofError].sort())
    expect(headers).toMatchObject({ 'cache-control': 'no-cache', 'set-cookie': 'of=hook' })
    expect(headers['content-security-policy']).toContain("default-src 'none'")
  })
})

test.each([
  undefined,
  null,
  'a text',
  42,
  { statusCode: 200 },
  { statusCode: 500, code: 'X', message: 'hunter2' },
])('whatever else is thrown (%o) is an accident without words', async (thrown) => {
  const service = createService({ name: 'thrown', env: testEnv })
  service.get('/', { config }, () => Promise.reject(thrown))
  const answer = await service.inject('/')

  expect(answer.json()).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' })
  expect(answer.body).not.toContain('hunter2')
})

test('an answer that breaks its own schema is an internal error, and shows nothing of the answer', async () => {
  const service = createService({ name: 'schema', env: testEnv })
  const response = {
    200: Type.Object({ id: Type.String() }),
    500: Type.Object({ mustBeThere: Type.String() }),
  }
  service.get('/', { config, schema: { response } }, async () => ({ hunter2: true }) as never)
  const answer = await service.inject('/')

  expect(answer.json()).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' })
  expect(answer.body).not.toMatch(/hunter2|mustBeThere|"id"/)
})

test('an error whose answer fails in a hook is still a problem without internals', async () => {
  const service = createService({ name: 'hooks', env: testEnv })
  service.addHook('onSend', async () => {
    throw Object.assign(new Error('connect ECONNREFUSED 10.1.2.3'), { code: 'ECONNREFUSED' })
  })
  service.get('/', { config }, async () => 'fine')
  service.get('/refused', { config }, async () => {
    throw Object.assign(new Error('No.'), { statusCode: 403, code: 'NO' })
  })

  for (const url of ['/', '/refused', '/nowhere']) {
    const answer = await service.inject(url)
    expect(answer.json()).toMatchObject({ status: 500, code: 'INTERNAL_ERROR' })
    expect(answer.headers['content-type']).toBe('application/problem+json')
    expect(answer.body).not.toContain('10.1.2.3')
  }
})

test('a known path with another method is answered with the methods that it allows', async () => {
  const service = createService({ name: 'methods', env: testEnv })
  service.get('/things/:id', { config }, async () => 'got')
  service.delete('/things/:id', { config }, async () => 'gone')
  service.get('/files/*', { config }, async () => 'got')

  const answers = await Promise.all(
    ['/things/1', '/files/a/b?c', '/things', '/things/1/2'].map((url) =>
      service.inject({ method: 'POST', url }),
    ),
  )
  expect(answers.map(({ statusCode, headers }) => [statusCode, headers.allow])).toEqual([
    [405, 'DELETE, GET, HEAD'],
    [405, 'GET, HEAD'],
    [404, undefined],
    [404, undefined],
  ])
})

test.each([
  ['a request without a host', 'GET /items/1 HTTP/1.1\r\n\r\n'],
  ['two lengths', 'POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}'],
  [
    'a length and chunks',
    'POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['a NUL in a header', 'GET /items/1 HTTP/1.1\r\nhost: x\r\nx-a: \0\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
])('%s is refused as a problem', async (_what, bytes) => {
  const answer = await sendRaw(port, bytes.replace('HTTP/1.1\r\n', 'HTTP/1.1\r\nconnection: close\r\n'))

  expect(answer.status).toBe(400)
  expect(answer.head).toContain('content-type: application/problem+json\r\n')
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'REQUEST_MALFORMED' })
})

test('a CONNECT request is refused with a problem', async () => {
  const answer = await sendRaw(
    port,
    'CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n',
  )

  expect(answer.status).toBe(405)
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'METHOD_NOT_ALLOWED' })
})

test('an unknown value of the header expect is ignored', async () => {
  expect(await send('GET /items/1', 'expect: a-miracle\r\n')).toMatchObject({ status: 200, body: 'found' })
})

test('garbage in the middle of an answer adds no second answer to it', async () => {
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /stream HTTP/1.1\r\nhost: x\r\n\r\n')
  let text = ''
  socket.on('data', (chunk) => {
    if (text === '') socket.write('GARBAGE\r\n\r\n')
    text += String(chunk)
  })
  await once(socket, 'close')

  expect(text).toMatch(/^HTTP\/1.1 200 [^]*begun/)
  expect(text.match(/HTTP\/1.1/g)).toHaveLength(1)
})
