import { Type } from 'typebox'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { createService, type Service } from '../src/index.ts'
import { testEnv } from './test-env.ts'

const config = { access: 'public' } as const

const build = (options: Partial<Parameters<typeof createService>[0]> = {}): Service =>
  createService({ name: 'service', env: testEnv, ...options })

const headersOf = async (app: Service): Promise<Record<string, unknown>> =>
  (await app.inject('/livez')).headers

describe('what comes in', () => {
  test('a body must have the types of its schema, and no value is converted', async () => {
    const app = build()
    const body = Type.Object({ count: Type.Integer(), isOpen: Type.Boolean() })
    app.post('/', { config, schema: { body } }, async (request) => {
      expectTypeOf(request.body).toEqualTypeOf<{ count: number; isOpen: boolean }>()
      return request.body
    })
    const post = (body: object) => app.inject({ method: 'POST', url: '/', body })

    expect((await post({ count: 1, isOpen: true })).json()).toEqual({ count: 1, isOpen: true })
    expect((await post({ count: '1', isOpen: true })).statusCode).toBe(400)
    expect((await post({ count: 1, isOpen: 'true' })).statusCode).toBe(400)
    expect((await post({ count: null, isOpen: true })).statusCode).toBe(400)
  })

  test('a client may send the header content-type without a body', async () => {
    const app = build()
    app.post('/none', { config }, async (request) => ({ body: request.body ?? null }))
    app.post('/some', { config, schema: { body: Type.Object({}) } }, async () => ({}))
    const headers = { 'content-type': 'application/json' }
    const post = (url: string) => app.inject({ method: 'POST', url, headers })
    expect((await post('/none')).json()).toEqual({ body: null })
    expect((await post('/some')).json()).toMatchObject({ status: 400, code: 'REQUEST_INVALID' })
  })

  test('a service that calls may say how long it waits; what is no time counts for nothing', async () => {
    const app = build()
    app.get('/', { config }, async ({ deadline }) => ({ leftMs: deadline - performance.now() }))
    const leftMs = async (told?: string): Promise<unknown> => {
      const headers = told === undefined ? {} : { 'x-envoy-expected-rq-timeout-ms': told }
      return (await app.inject({ url: '/', headers })).json().leftMs
    }
    const told = Number(await leftMs('500'))
    expect(told).toBeGreaterThan(0)
    expect(told).toBeLessThanOrEqual(500)
    // JSON has no Infinity.
    for (const other of [undefined, 'soon', '-1', '0']) expect(await leftMs(other)).toBe(null)
  })

  test('a compressed body is refused, and the answer says which encoding is accepted', async () => {
    const app = build()
    app.post('/', { config }, async (request) => request.body)
    const post = (encoding: string) =>
      app.inject({ method: 'POST', url: '/', body: { a: 1 }, headers: { 'content-encoding': encoding } })
    const refused = await post('gzip')
    expect(refused.json()).toMatchObject({ status: 415, code: 'ENCODING_UNSUPPORTED' })
    expect(refused.headers).toMatchObject({ 'accept-encoding': 'identity' })
    expect((await post('identity')).json()).toEqual({ a: 1 })
  })

  test('a body that is not valid UTF-8 is refused: two different texts would be stored as the same', async () => {
    const app = build()
    app.post('/', { config, schema: { body: Type.Unknown() } }, async (request) =>
      JSON.stringify(request.body),
    )
    const post = (payload: string | Buffer) =>
      app.inject({ method: 'POST', url: '/', payload, headers: { 'content-type': 'application/json' } })

    for (const payload of [
      '"\\ud800"',
      '{"a":[{"\\uDFFF":1}]}',
      '["\\ude00\\ud83d"]',
      Buffer.from('"\xff"', 'latin1'),
    ]) {
      expect((await post(payload)).json()).toMatchObject({ status: 400, code: 'BODY_MALFORMED' })
    }
    for (const payload of ['"\\ud83d\\ude00"', '["\\\\ud800"]', '"\ufffd"', '"é"']) {
      expect((await post(payload)).json()).toEqual(JSON.parse(payload))
    }
  })

  test('a field that the schema does not name never reaches the handler', async () => {
    const app = build()
    const body = Type.Object({ user: Type.Object({ name: Type.String() }) })
    app.post('/', { config, schema: { body } }, async (request) => JSON.stringify(request.body))
    const answer = await app.inject({
      method: 'POST',
      url: '/',
      body: { user: { name: 'ada', isAdmin: true }, role: 'admin' },
    })

    expect(answer.body).toBe('{"user":{"name":"ada"}}')
  })

  test('the texts of a query are converted to the types of its schema', async () => {
    const app = build()
    const querystring = Type.Object({
      limit: Type.Integer({ default: 50 }),
      ratio: Type.Optional(Type.Number()),
      isOpen: Type.Optional(Type.Boolean()),
      tag: Type.Optional(Type.Array(Type.String())),
      q: Type.Optional(Type.String()),
    })
    app.get('/', { config, schema: { querystring } }, async ({ query }) => {
      expectTypeOf(query.limit).toEqualTypeOf<number>()
      return query
    })
    const read = async (text: string): Promise<unknown> => (await app.inject(`/?${text}`)).json()

    expect(await read('')).toEqual({ limit: 50 })
    expect(await read('limit=7&ratio=0.5&isOpen=false&tag=a&q=12&unknown=1')).toEqual({
      limit: 7,
      ratio: 0.5,
      isOpen: false,
      tag: ['a'],
      q: '12',
    })
    expect(await read('tag=a&tag=b')).toMatchObject({ tag: ['a', 'b'] })
    for (const wrong of ['limit=', 'limit=x', 'limit=5.5', 'limit=1&limit=2', 'isOpen=1', 'isOpen=']) {
      expect(await read(wrong), wrong).toMatchObject({ code: 'REQUEST_INVALID' })
    }
  })

  test('parameters and headers are read the same way, and headers that no schema names stay', async () => {
    const app = build()
    const schema = {
      params: Type.Object({ id: Type.Integer() }),
      headers: Type.Object({ 'x-count': Type.Integer() }),
    }
    app.get('/:id', { config, schema }, async ({ params, headers }) => [
      params.id,
      headers['x-count'],
      headers.cookie,
    ])
    const headers = { 'x-count': '3', cookie: 'a=b' }

    expect((await app.inject({ url: '/12', headers })).json()).toEqual([12, 3, 'a=b'])
    expect((await app.inject({ url: '/x', headers })).json().errors).toEqual([
      { parameter: 'id', detail: 'must be integer' },
    ])
  })

  test('a key that would change the prototype of objects is refused', async () => {
    const app = build()
    app.post('/', { config }, async () => 'read')
    const headers = { 'content-type': 'application/json' }
    const answer = await app.inject({
      method: 'POST',
      url: '/',
      headers,
      body: '{"__proto__":{"isAdmin":true}}',
    })

    expect(answer.json()).toMatchObject({ code: 'BODY_MALFORMED' })
  })

  test('a route may take a larger body than the service', async () => {
    const app = build({ bodyLimit: 100 })
    app.post('/', { config }, async () => 'read')
    app.post('/large', { config, bodyLimit: 1000 }, async () => 'read')
    const post = (url: string) => app.inject({ method: 'POST', url, body: { text: 'x'.repeat(500) } })

    expect((await post('/')).statusCode).toBe(413)
    expect((await post('/large')).statusCode).toBe(200)
  })
})

describe('what goes out', () => {
  test('the headers of an answer allow a browser nothing, unless the service has a page', async () => {
    const strict = await headersOf(build())
    const page = await headersOf(build({ contentSecurityPolicy: "default-src 'self'" }))

    expect(strict['content-security-policy']).toMatch(/^default-src 'none'/)
    expect(page['content-security-policy']).toBe("default-src 'self'")
  })

  test('errors have the security headers too, and those of paths that cannot be read', async () => {
    const app = build()

    for (const url of ['/nowhere', '/%zz']) {
      const { headers } = await app.inject(url)
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'x-request-id': expect.any(String),
      })
    }
  })

  test('browsers must use https only where https is in use', async () => {
    const secure = await headersOf(build({ env: { ...testEnv, PUBLIC_ORIGIN: 'https://example.com' } }))
    const plain = await headersOf(build({ env: { ...testEnv, PUBLIC_ORIGIN: 'http://localhost:3000' } }))

    expect(secure['strict-transport-security']).toMatch(/^max-age=\d+$/)
    const whole = await headersOf(build({ env: { ...testEnv, HSTS_INCLUDE_SUBDOMAINS: true } }))
    expect(whole['strict-transport-security']).toMatch(/^max-age=\d+; includeSubDomains$/)
    expect(plain['strict-transport-security']).toBeUndefined()
  })

  test('answers name their process outside production only', async () => {
    const named = { ...testEnv, PROCESS_NAME: 'accounts.2' }

    expect((await headersOf(build({ env: named })))['x-process']).toBe('accounts.2')
    expect((await headersOf(build()))['x-process']).toBeUndefined()
    expect(
      (await headersOf(build({ env: { ...named, NODE_ENV: 'production' } })))['x-process'],
    ).toBeUndefined()
  })
})

test('an address in a header is trusted only from the proxies of TRUST_PROXY', async () => {
  const expectations: [ip: string, trusted?: string[]][] = [
    ['127.0.0.1'],
    ['127.0.0.1', ['10.0.0.0/8']],
    ['192.0.2.1', ['loopback']],
  ]
  for (const [ip, TRUST_PROXY] of expectations) {
    const app = build({ env: { ...testEnv, ...(TRUST_PROXY && { TRUST_PROXY }) } })
    app.get('/', { config }, async (request) => request.ip)
    const answer = await app.inject({ url: '/', headers: { 'x-forwarded-for': '192.0.2.1' } })
    expect(answer.body).toBe(ip)
  }
})

async function greetingRoutes(app: Service, { greeting }: { greeting: string }): Promise<void> {
  const schema = { response: { 200: Type.Object({ text: Type.String() }) } }
  app.get('/hello', { config, schema }, async () => ({ text: greeting }))
}

test('a routes plugin is typed by the service, its options included', async () => {
  const app = build()
  await app.register(greetingRoutes, { prefix: '/api', greeting: 'hi' })

  expect((await app.inject('/api/hello')).json()).toEqual({ text: 'hi' })
})
