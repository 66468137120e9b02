import { readFileSync } from 'node:fs'
import createError from '@fastify/error'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { expect, test } from 'vitest'
import { createService, type Access, type Service } from '../src/index.ts'
import * as access from '../src/access.ts'
import { startFixture } from './start-fixture.ts'
import { testEnv } from './test-env.ts'

const SignedOut = createError('SIGNED_OUT', 'Please sign in.', 401)

const RoleMissing = createError('ROLE_MISSING', 'You lack a role.', 403)

const build = (): Service => createService({ name: 'access', env: testEnv })
const user = { config: { access: 'user' } } as const
const open = { config: { access: 'public' } } as const

/** As fastify-plugin does: the plugin belongs to the scope that registers it. */
const fp = (plugin: (app: FastifyInstance) => Promise<void>) =>
  Object.assign(plugin, { [Symbol.for('skip-override')]: true })

/** Adds a check as the session plugin does, for a user that the request names. */
const users = fp(async (app: FastifyInstance) => {
  app.addAccessCheck('user', ({ headers }) => {
    if (!headers.user) throw new SignedOut()
  })
})

test('a route that does not say who may use it stops the boot, with every other that does not', async () => {
  const app = build()
  app.get('/forgotten', async () => 'hello')
  app.all('/all', open, async () => 'hello')
  await app.register(users)
  await app.register(async (scope) => void scope.post('/in-a-plugin', async () => 'hello'), {
    prefix: '/api',
  })

  await expect(app.ready()).rejects.toMatchObject({
    code: 'ROUTE_ACCESS_MISSING',
    message: expect.stringContaining(': GET /forgotten, HEAD /forgotten, POST /api/in-a-plugin.'),
  })
})

test('a route for users stops the boot where nothing checks for a user', async () => {
  const app = build()
  app.get('/me', user, async () => 'secret')

  await expect(app.inject('/me')).rejects.toMatchObject({
    code: 'ROUTE_ACCESS_UNCHECKED',
    message: expect.stringContaining(': GET /me (access: "user"), HEAD /me (access: "user").'),
  })
})

test.each(
  [
    'users',
    'User',
    'constructor',
    'role',
    [],
    ['user', 'fresh-user'],
    ['user', 'public'],
    ['user', { role: '' }],
    [['user']],
    'fresh-user',
    'service',
    {},
    { role: '' },
    { role: ['admin'] },
    { user: 'admin' },
    { role: 'admin', user: 'fresh' },
  ].map((unknown) => [unknown]),
)('a route that asks for %j, which nothing registered knows, stops the boot', async (unknown: unknown) => {
  const app = build()
  await app.register(users)
  app.addAccessCheck('role', () => {})
  app.get('/', { config: { access: unknown as Access } }, async () => 'secret')

  await expect(app.ready()).rejects.toMatchObject({ code: 'ROUTE_ACCESS_UNCHECKED' })
})

test('a route beside the scope in which users are checked stops the boot, however it is registered', async () => {
  const beside: ((app: Service) => unknown)[] = [
    (app) => app.get('/me', user, async () => 'secret'),
    (app) => app.register(async (scope) => void scope.get('/me', user, async () => 'secret')),
    (app) =>
      app.register(fp(async (plugin: FastifyInstance) => void plugin.get('/me', user, async () => 's'))),
  ]
  for (const add of beside) {
    const app = build()
    await app.register(async (scope) => {
      await scope.register(users)
      scope.get('/inside', user, async () => 'secret')
    })
    add(app)
    await expect(app.ready()).rejects.toMatchObject({
      code: 'ROUTE_ACCESS_UNCHECKED',
      message: expect.not.stringContaining('/inside'),
    })
  }
})

test('every route that boots is checked: in the scope, inside it, before and after the plugin, and its HEAD', async () => {
  const app = build()
  app.get('/before', user, async () => 'secret')
  app.register(async (scope) => void scope.get('/scope-before', user, async () => 'secret'))
  await app.register(users)
  app.get('/after', user, async () => 'secret')
  app.register(async (scope) => {
    scope.register(async (inner) => void inner.get('/inner', user, async () => 'secret'))
  })
  app.get('/open', open, async () => 'hello')

  for (const url of ['/before', '/scope-before', '/after', '/inner']) {
    for (const method of ['GET', 'HEAD'] as const) {
      const [stranger, known] = [
        { method, url },
        { method, url, headers: { user: 'ada' } },
      ]
      expect([url, method, (await app.inject(stranger)).statusCode]).toEqual([url, method, 401])
      expect([url, method, (await app.inject(known)).statusCode]).toEqual([url, method, 200])
    }
  }
  for (const url of ['/open', '/livez', '/readyz', '/metrics', '/openapi.json']) {
    expect([url, (await app.inject(url)).statusCode]).toEqual([url, 200])
  }
  expect((await app.inject('/nowhere')).statusCode).toBe(404)
})

test('a role route stops the boot where nothing checks roles, and else its check is told which role', async () => {
  const admin = { config: { access: { role: 'admin' } } } as const
  const open = build()
  await open.register(users)
  open.get('/admin', admin, async () => 'secret')
  await expect(open.ready()).rejects.toMatchObject({
    code: 'ROUTE_ACCESS_UNCHECKED',
    message: expect.stringContaining('GET /admin (access: {"role":"admin"})'),
  })

  const app = build()
  app.addAccessCheck('role', ({ headers }, { role }) => {
    if (headers.role !== role) throw new SignedOut()
  })
  app.get('/admin', admin, async () => 'secret')
  expect((await app.inject('/admin')).statusCode).toBe(401)
  expect((await app.inject({ url: '/admin', headers: { role: 'editor' } })).statusCode).toBe(401)
  expect((await app.inject({ url: '/admin', headers: { role: 'admin' } })).statusCode).toBe(200)
})

test('a check may take its time, and its refusal comes before the body is read', async () => {
  const app = build()
  app.addAccessCheck('user', async () => {
    await new Promise(setImmediate)
    throw new SignedOut()
  })
  app.post('/', user, async () => 'secret')

  const answer = await app.inject({
    method: 'POST',
    url: '/',
    headers: { 'content-type': 'application/json' },
    body: '{',
  })
  expect(answer.json()).toMatchObject({ code: 'SIGNED_OUT' })
})

/** Adds checks as plugins do, for a user, a role and a service that the request names. */
const everybody = fp(async (app: FastifyInstance) => {
  app.addAccessCheck('service', ({ headers }) => {
    if (!headers.service) throw new Error('No service has sent this request')
  })
  await app.register(users)
  app.addAccessCheck('role', async ({ headers }, { role }) => {
    if (headers.role !== role) throw new RoleMissing()
  })
})

test('of a list one is enough, and who is none of it gets the first error that says something to a client', async () => {
  const app = build()
  await app.register(everybody)
  const lists: Access[] = [
    ['user', 'service'],
    ['service', 'user'],
    ['service', { role: 'admin' }, { role: 'editor' }],
    [{ role: 'admin' }, 'user'],
    ['user', 'user'],
  ]
  for (const [n, access] of lists.entries()) app.get(`/${n}`, { config: { access } }, async () => 'secret')
  const outcomes = async (headers: Record<string, string>): Promise<unknown[]> => {
    const answers = await Promise.all(lists.map((_, n) => app.inject({ url: `/${n}`, headers })))
    return answers.map((answer) => (answer.statusCode === 200 ? answer.body : answer.json().code))
  }

  const [out, no, ok] = ['SIGNED_OUT', 'ROLE_MISSING', 'secret']
  expect(await outcomes({})).toEqual([out, out, no, no, out])
  expect(await outcomes({ user: 'ada' })).toEqual([ok, ok, no, ok, ok])
  expect(await outcomes({ service: 'orders' })).toEqual([ok, ok, ok, no, out])
  expect(await outcomes({ role: 'editor' })).toEqual([out, out, ok, no, out])
  expect(await outcomes({ role: 'admin' })).toEqual([out, out, ok, ok, out])
})

test('of two checks of one kind, a request must pass both', async () => {
  const app = build()
  await app.register(everybody)
  await app.register(async (scope) => {
    scope.addAccessCheck('user', ({ headers }) => {
      if (headers.user !== 'ada') throw new RoleMissing()
    })
    scope.get('/', { config: { access: ['user', 'service'] } }, async () => 'secret')
  })

  const statusFor = async (headers: Record<string, string>) =>
    (await app.inject({ url: '/', headers })).statusCode
  expect(await statusFor({ user: 'ada' })).toBe(200)
  expect(await statusFor({ user: 'bob' })).toBe(403)
  expect(await statusFor({ service: 'orders' })).toBe(200)
})

test.each([
  ['with the plugin around it', (app: Service) => app],
  [
    'with a hook that takes its time at the end',
    (app: Service) => app.addHook('onSend', async () => new Promise<void>((go) => setTimeout(go, 5))),
  ],
])('a route for services alone is answered as an unknown path, to the byte, %s', async (_, prepare) => {
  const app = build()
  await app.register(everybody)
  prepare(app)
  let handled = 0
  const handle = async (): Promise<string> => `handled ${++handled}`
  app.all('/internal/:id', { config: { access: 'service' }, bodyLimit: 10 }, handle)
  app.post('/both/:id', { config: { access: ['service'] } }, handle)
  app.get('/both/:id', open, async () => 'hello')

  const json = { 'content-type': 'application/json' }
  const requests = [
    {},
    { method: 'HEAD' },
    { method: 'OPTIONS' },
    { method: 'DELETE' },
    { method: 'POST', headers: json, body: '{"a":1}' },
    { method: 'POST', headers: json, body: '{' },
    { method: 'POST', headers: json, body: JSON.stringify('a'.repeat(2_000_000)) },
    { method: 'POST', headers: { ...json, 'content-encoding': 'gzip' }, body: 'x' },
    { method: 'PUT', headers: { 'content-type': 'text/x' }, body: 'x' },
    { method: 'POST', headers: { origin: 'https://elsewhere.example' } },
  ] as const
  const answerTo = async (request: InjectOptions, url: string): Promise<unknown> => {
    const { statusCode, headers, body } = await app.inject({ ...request, url })
    return { statusCode, headers: { ...headers, 'x-request-id': '' }, body: body.replace(/[\da-f-]{36}/, '') }
  }
  for (const request of requests) {
    expect(await answerTo(request, '/internal/7'), JSON.stringify(request)).toEqual(
      await answerTo(request, '/unknown/7'),
    )
  }
  expect(await answerTo({ method: 'POST' }, '/both/7')).toEqual(await answerTo({ method: 'PUT' }, '/both/7'))
  expect(await app.inject({ method: 'POST', url: '/both/7' })).toMatchObject({
    statusCode: 405,
    headers: { allow: 'GET, HEAD' },
  })
  expect(handled).toBe(0)

  const service = { headers: { service: 'orders' } }
  expect((await app.inject({ ...service, url: '/internal/7' })).body).toBe('handled 1')
  expect((await app.inject({ ...service, url: '/both/7', method: 'POST' })).body).toBe('handled 2')
})

test('a route for services alone is in the OpenAPI document, with a tag, and not for requests through a proxy', async () => {
  const app = build()
  await app.register(everybody)
  app.post('/internal', { config: { access: 'service' } }, async () => 'secret')
  app.get('/both', { config: { access: ['service', 'user'] } }, async () => 'hello')
  app.post('/both', { config: { access: 'service' }, schema: { tags: ['more'] } }, async () => 'secret')

  const pathsFor = async (headers: Record<string, string>): Promise<unknown> =>
    (await app.inject({ url: '/openapi.json', headers })).json().paths
  expect(await pathsFor({})).toMatchObject({
    '/internal': { post: { tags: ['service'] } },
    '/both': { get: expect.not.objectContaining({ tags: [] }), post: { tags: ['more', 'service'] } },
  })
  for (const header of ['x-forwarded-for', 'forwarded'])
    expect(await pathsFor({ [header]: '192.0.2.1' })).toEqual({ '/both': { get: expect.anything() } })
})

async function theirs(app: FastifyInstance): Promise<void> {
  app.get('/theirs', async () => 'hello')
}

test("a scope may say it for the routes of somebody else's plugin", async () => {
  const app = build()
  app.register(async (scope) => {
    scope.addHook('onRoute', (route) => void (route.config = { ...route.config, access: 'public' }))
    await scope.register(theirs)
  })

  expect((await app.inject('/theirs')).body).toBe('hello')
})

test('a process with such a route says which, and ends with 1', async () => {
  const service = await startFixture('server.ts', { UNCHECKED_ROUTE: '/me' }, { waits: false })

  expect(await service.exited).toEqual({ code: 1, signal: null })
  expect(service.log().at(-1)).toMatchObject({ level: 'fatal', err: { code: 'ROUTE_ACCESS_UNCHECKED' } })
})

test('the codes that stop the boot are in the README, and no others', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const documented = [...readme.matchAll(/^\| `([A-Z_]+)` +\| boot /gm)].map(([, code]) => code)

  expect(documented).toEqual(
    [
      access.RouteAccessMissing,
      access.RouteAccessUnchecked,
      // keep: idempotency
      access.RouteIdempotencyUnserved,
      // /keep
      access.RouteLimitUncounted,
    ].map((Thrown) => new Thrown().code),
  )
})

test.each([
  ['a limit', 'ROUTE_LIMIT_UNCOUNTED', { limit: { max: 1, per: 'network', windowMs: 1000 } }],
  // keep: idempotency
  ['idempotency keys', 'ROUTE_IDEMPOTENCY_UNSERVED', { idempotency: true }],
  // /keep
] as const)('a route with %s and without the plugin stops the boot, by name', (_, code, wanted) => {
  const app = createService({ name: 'service', env: testEnv })
  const config = { access: 'public', ...wanted } as const

  expect(() => app.post('/items', { config }, async () => 'written')).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining('POST /items') }),
  )
})
