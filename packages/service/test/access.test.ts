import { readFileSync } from 'node:fs'
import createError from '@fastify/error'
import type { FastifyInstance } from 'fastify'
import { expect, test } from 'vitest'
import { createService, type Access, type Service } from '../src/index.ts'
import * as access from '../src/access.ts'
import { startFixture } from './start-fixture.ts'
import { testEnv } from './test-env.ts'

const SignedOut = createError('SIGNED_OUT', 'Please sign in.', 401)

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

test.each([
  'users',
  'User',
  'constructor',
  'role',
  ['user'],
  [{ role: 'admin' }],
  'fresh-user',
  {},
  { role: '' },
  { role: ['admin'] },
  { user: 'admin' },
  { role: 'admin', user: 'fresh' },
])('a route that asks for %j, which nothing registered knows, stops the boot', async (unknown) => {
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
