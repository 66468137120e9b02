import { Type } from 'typebox'
import { expect, test } from 'vitest'
import createError from '@fastify/error'
import { createService, problemResponses, type Checks, type Service } from '../src/index.ts'
import { testEnv } from './test-env.ts'

const config = { access: 'public' } as const

const build = (checks?: Checks): Service =>
  createService({ name: 'probes', env: testEnv, ...(checks && { checks }) })

test('a service is alive even if its checks fail', async () => {
  const app = build({ database: { check: () => Promise.reject(new Error('away')) } })

  expect((await app.inject('/livez')).json()).toEqual({ status: 'ok' })
})

test('it is ready when every check passes, and says which', async () => {
  const app = build({ database: { check: async () => {} }, sessions: { check: async () => {} } })
  const answer = await app.inject('/readyz')

  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toEqual({ status: 'ok', checks: { database: 'ok', sessions: 'ok' } })
})

test('one check that fails or hangs makes it unready in time, without saying why', async () => {
  const app = build({
    database: { check: () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:5432')) },
    sessions: { check: () => new Promise(() => {}) },
    mail: { check: async () => {} },
  })
  const before = performance.now()
  const answer = await app.inject('/readyz')

  expect(performance.now() - before).toBeLessThan(1000)
  expect(answer.statusCode).toBe(503)
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.json()).toMatchObject({
    code: 'NOT_READY',
    isDraining: false,
    checks: { database: 'failed', sessions: 'timed out', mail: 'ok' },
  })
  expect(answer.body).not.toMatch(/ECONNREFUSED|10\.1\.2\.3/)
})

test('once each check has passed, an unavailable store is reported, and the process stays ready: the store is unavailable for all processes', async () => {
  let isAway = true
  const database = { check: () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve()) }
  const app = build({ database, sessions: { check: async () => {} } })
  expect((await app.inject('/readyz')).statusCode).toBe(503)
  isAway = false
  expect((await app.inject('/readyz')).json()).toMatchObject({ status: 'ok' })
  expect((await app.inject('/metrics')).body).toContain('nonstick_check_ok{check="database"} 1')

  isAway = true
  const answer = await app.inject('/readyz')
  expect([answer.statusCode, answer.json()]).toEqual([
    200,
    { status: 'degraded', checks: { database: 'failed', sessions: 'ok' } },
  ])
  const { body } = await app.inject('/metrics')
  expect(body).toContain('nonstick_check_ok{check="database"} 0')
  expect(body).toContain('nonstick_check_ok{check="sessions"} 1')
})

test('a check that hangs is not run again while it hangs, and recovers', async () => {
  let runs = 0
  const hanging = Promise.withResolvers<void>()
  const app = build({
    sessions: {
      check() {
        runs++
        return hanging.promise
      },
    },
  })
  await Promise.all([app.inject('/readyz'), app.inject('/readyz')])
  expect(runs).toBe(1)

  const answer = app.inject('/readyz')
  hanging.resolve()
  expect((await answer).statusCode).toBe(200)
})

test('a check that throws at once is a check that fails', async () => {
  const app = build({
    sessions: {
      check() {
        throw new Error('not even a promise')
      },
    },
  })

  expect((await app.inject('/readyz')).json()).toMatchObject({ checks: { sessions: 'failed' } })
})

test('no hook of the app or its plugins runs for a probe', async () => {
  const app = build()
  const ran: string[] = []
  app.addHook('onRequest', async ({ url }) => void ran.push(`onRequest ${url}`))
  app.addHook('preHandler', async ({ url }) => void ran.push(`preHandler ${url}`))
  app.addHook('onSend', async ({ url }) => void ran.push(`onSend ${url}`))
  app.get('/', { config }, async () => 'fine')

  for (const url of ['/livez', '/readyz', '/metrics', '/openapi.json']) {
    expect((await app.inject(url)).statusCode).toBe(200)
  }
  expect(ran).toEqual([])
  await app.inject('/')
  expect(ran).toEqual(['onRequest /', 'preHandler /', 'onSend /'])
})

test('probes carry the security headers and the request id, and answer HEAD', async () => {
  const answer = await build().inject({ method: 'HEAD', url: '/readyz' })

  expect(answer.statusCode).toBe(200)
  expect(answer.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'x-request-id': expect.any(String),
  })
})

test('a probe answers only to the exact spelling of its path, which the load balancer hides from the public', async () => {
  const app = build()
  for (const path of ['livez', 'readyz', 'metrics', 'openapi.json']) {
    const first = `%${path.charCodeAt(0).toString(16)}`
    const disguises = [`/${first}${path.slice(1)}`, `//${path}`, `/${path}/`, `/${path};x`]
    for (const url of [...disguises, `/${path.toUpperCase()}`, `/${path}%3f`]) {
      expect([url, (await app.inject({ url })).statusCode]).toEqual([url, 404])
    }
    expect([path, (await app.inject(`/${path}?x=1`)).statusCode]).toEqual([path, 200])
  }
})

test('metrics count requests by route, never by path, beside those of the process', async () => {
  const app = build()
  app.get('/people/:id', { config }, async () => 'somebody')
  await app.inject('/people/ada')
  await app.inject('/people/grace')
  await app.inject('/nowhere/at/all')
  const { body, headers } = await app.inject('/metrics')

  expect(headers['content-type']).toMatch(/^text\/plain; version=/)
  expect(body).toContain(
    'http_server_request_duration_seconds_count{http_request_method="GET",http_route="/people/:id",http_response_status_code="200"} 2',
  )
  expect(body).toContain('http_route="",http_response_status_code="404"} 1')
  expect(body).toContain('process_resident_memory_bytes')
  expect(body).not.toMatch(/ada|grace|nowhere/)
})

test('two services in one process have separate metrics', async () => {
  const [one, other] = [build(), build()]
  await one.inject('/livez')

  expect((await one.inject('/metrics')).body).toContain('/livez')
  expect((await other.inject('/metrics')).body).not.toContain('/livez')
})

test.each([{ forwarded: 'for=192.0.2.1' }, { 'x-forwarded-for': '192.0.2.1' }])(
  'metrics are not for those who come through a balancer',
  async (headers) => {
    const answer = await build().inject({ url: '/metrics', headers })

    expect(answer.json()).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' })
  },
)

test('the OpenAPI document describes every route by its schemas, and no probe', async () => {
  const app = build()
  const schema = {
    querystring: Type.Object({ limit: Type.Integer({ default: 50 }), tag: Type.String() }),
    response: { 200: Type.Object({ total: Type.Integer() }) },
  }
  app.get('/things', { config, schema }, async () => ({ total: 0 }))
  await app.register(async (scope) => {
    scope.post(
      '/scoped',
      { config, schema: { body: Type.Object({ url: Type.String({ format: 'uri' }) }) } },
      async () => 'x',
    )
  })
  const document = (await app.inject('/openapi.json')).json()

  expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'probes' } })
  expect(Object.keys(document.paths)).toEqual(['/things', '/scoped'])
  expect(document.paths['/things'].get).toMatchObject({
    parameters: [
      { name: 'limit', in: 'query', required: false, schema: { type: 'integer', default: 50 } },
      { name: 'tag', in: 'query', required: true },
    ],
    responses: { 200: { content: { 'application/json': { schema: { required: ['total'] } } } } },
  })
})

test('the OpenAPI document lists the errors that a route declares, and they are still answered as problems', async () => {
  const ThingTaken = createError('THING_TAKEN', 'There is such a thing already.', 409)
  const app = build()
  const response = { 201: Type.Object({ id: Type.String() }), ...problemResponses(ThingTaken) }
  app.post('/things', { config, schema: { response } }, async () => {
    throw new ThingTaken()
  })
  const document = (await app.inject('/openapi.json')).json()
  const answer = await app.inject({ method: 'POST', url: '/things' })

  expect(document.paths['/things'].post.responses['409']).toMatchObject({
    description: '`THING_TAKEN`: There is such a thing already.',
    content: {
      'application/problem+json': { schema: { required: expect.arrayContaining(['code', 'detail']) } },
    },
  })
  expect(answer.json()).toMatchObject({ status: 409, code: 'THING_TAKEN', requestId: expect.any(String) })
})
