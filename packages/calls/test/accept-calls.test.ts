import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import { afterEach, expect, test, vi } from 'vitest'
import { acceptCalls, createCallee, createTokenIssuer, openRotation, TOKEN_HEADER } from '../src/index.ts'
import type { Caller } from '../src/index.ts'

const [old, fresh] = ['o'.repeat(32), 'n'.repeat(32)] as const

afterEach(() => vi.useRealTimers())

interface Catalog {
  app: FastifyInstance
  log: string[]
  /** The caller that it sees, and `refused` when the check of `service` throws. */
  callerOf(headers: Record<string, string>): Promise<Caller | 'refused'>
}

/** The service that is called. The test stands for @repo/service, which runs the checks. */
async function openCatalog(secrets: readonly string[] = [old], name = 'catalog'): Promise<Catalog> {
  const log: string[] = []
  const app = fastify({
    logger: { level: 'trace', stream: { write: (line: string) => void log.push(line) } },
  })
  app.decorate('addAccessCheck', ((kind: string, check: (request: FastifyRequest) => void) => {
    expect(kind).toBe('service')
    app.addHook('onRequest', async (request) => check(request))
  }) as never)
  await app.register(acceptCalls, { name, secrets })
  app.get('/', async (request) => request.caller)
  app.get('/headers', async ({ headers }) => headers)
  return {
    app,
    log,
    async callerOf(headers) {
      const { statusCode, body } = await app.inject({ url: '/', headers })
      return statusCode === 200 ? JSON.parse(body) : 'refused'
    },
  }
}

const issuer = (secrets: readonly string[], audience = 'catalog') =>
  createTokenIssuer({ issuer: 'orders', audience, secrets })

const CLAIMS = { iss: 'orders', aud: 'catalog', sub: 'orders' }

interface Forged {
  claims?: { [Claim in keyof JWTPayload]: JWTPayload[Claim] | undefined }
  typ?: string
  alg?: string
  secret?: string
  /** In seconds from now. */
  issued?: number
  lives?: number
}

function forge({ claims, typ = 'service+jwt', alg = 'HS256', secret = old, issued = 0, lives = 30 }: Forged) {
  const iat = Math.floor(Date.now() / 1000) + issued
  return new SignJWT({ ...CLAIMS, jti: randomUUID(), iat, exp: iat + lives, ...claims } as JWTPayload)
    .setProtectedHeader({ alg, ...(typ && { typ }) })
    .sign(Buffer.from(secret))
}

test('a service calls for itself, or for a user', async () => {
  const { callerOf } = await openCatalog()
  const issue = issuer([old])
  expect(await callerOf({ [TOKEN_HEADER]: await issue() })).toEqual({ service: 'orders' })
  expect(await callerOf({ [TOKEN_HEADER]: await issue('ada') })).toEqual({ service: 'orders', userId: 'ada' })
  // A user may have the name of a service.
  expect(await callerOf({ [TOKEN_HEADER]: await issue('orders') })).toMatchObject({ userId: 'orders' })
  expect(await callerOf({})).toBe('refused')
})

test.each<[string, Forged]>([
  ['for another service', { claims: { aud: 'orders' } }],
  ['with another key', { secret: 'x'.repeat(32) }],
  ['of another kind', { typ: 'JWT' }],
  ['of no kind', { typ: '' }],
  ['with another algorithm', { alg: 'HS512' }],
  ['that has expired', { issued: -36 }],
  ['from the future', { issued: 6 }],
  ['that lives longer than 30 s', { issued: -36, lives: 3600 }],
  ['without an end', { claims: { exp: undefined } }],
  ['without a beginning', { claims: { iat: undefined } }],
  ['without an id', { claims: { jti: undefined } }],
  ['without an issuer', { claims: { iss: undefined } }],
  ['without a subject', { claims: { sub: undefined } }],
  ['for a user, without the service that acts', { claims: { sub: 'ada' } }],
  ['for a user, in which another service acts', { claims: { sub: 'ada', act: { sub: 'web' } } }],
])('a token %s is no token', async (_, forged) => {
  const { callerOf, log } = await openCatalog()
  expect(await callerOf({ [TOKEN_HEADER]: await forge({}) })).toEqual({ service: 'orders' })
  const token = await forge(forged)
  expect(await callerOf({ [TOKEN_HEADER]: token })).toBe('refused')
  const lines = log.filter((line) => line.includes('The token of a service is not valid'))
  expect(lines).toHaveLength(1)
  for (const part of token.split('.')) expect(log.join('')).not.toContain(part)
})

test('a token without a signature, or that is none, is no token', async () => {
  const { callerOf } = await openCatalog()
  const unsecured = new UnsecuredJWT({ ...CLAIMS, jti: randomUUID() }).setIssuedAt().setExpirationTime('30 s')
  const [head, body] = (await forge({})).split('.')
  for (const token of [unsecured.encode(), `${head}.${body}.`, '', 'x', 'a.b.c', `${await forge({})}, x`]) {
    expect(await callerOf({ [TOKEN_HEADER]: token }), token).toBe('refused')
  }
})

test('a token that was valid before is no token after its end', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
  const { callerOf } = await openCatalog()
  const token = await forge({ issued: -25 })
  for (let n = 0; n < 2; n++) expect(await callerOf({ [TOKEN_HEADER]: token })).toEqual({ service: 'orders' })
  vi.advanceTimersByTime(11_000)
  expect(await callerOf({ [TOKEN_HEADER]: token })).toBe('refused')
})

test('clocks may differ by five seconds', async () => {
  const { callerOf } = await openCatalog()
  for (const issued of [4, -33])
    expect(await callerOf({ [TOKEN_HEADER]: await forge({ issued }) })).toEqual({ service: 'orders' })
})

test('the token of a request that came through a proxy does not count, and no handler sees one', async () => {
  const { app, callerOf } = await openCatalog()
  const token = await issuer([old])('ada')
  for (const proxy of ['x-forwarded-for', 'forwarded'])
    for (const value of ['192.0.2.1', ''])
      expect(await callerOf({ [TOKEN_HEADER]: token, [proxy]: value })).toBe('refused')
  const seen = await app.inject({ url: '/headers', headers: { [TOKEN_HEADER]: token } })
  expect(seen.statusCode).toBe(200)
  expect(seen.json()).not.toHaveProperty(TOKEN_HEADER)
})

test('secrets change by rolling releases: in each phase every caller reaches every callee', async () => {
  const steps = [[old], [old, fresh], [fresh, old], [fresh]]
  for (const [n, next] of steps.entries()) {
    // Processes of this release run beside those of the one before.
    const phases = [steps[Math.max(0, n - 1)]!, next]
    for (const caller of phases)
      for (const callee of phases) {
        const { callerOf } = await openCatalog(callee)
        const token = await issuer(caller)()
        expect(await callerOf({ [TOKEN_HEADER]: token }), `${caller} to ${callee}`).not.toBe('refused')
      }
  }
  const { callerOf } = await openCatalog([fresh])
  expect(await callerOf({ [TOKEN_HEADER]: await issuer([old])() })).toBe('refused')
})

test('a token is used again for the same user, for ten seconds, and then a new one is valid for thirty', async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] })
  const issue = issuer([old])
  const [first, same, other, own] = [issue('ada'), issue('ada'), issue('bob'), issue()]
  expect(same).toBe(first)
  expect(new Set(await Promise.all([first, other, own])).size).toBe(3)
  vi.advanceTimersByTime(9_999)
  expect(await issue('ada')).toBe(await first)
  vi.advanceTimersByTime(1)
  expect(await issue('ada')).not.toBe(await first)
  // Of more than a thousand users the one whose token is the oldest is forgotten.
  const again = await issue('ada')
  for (let n = 0; n < 1000; n++) void issue(`user ${n}`)
  expect(await issue('ada')).not.toBe(again)
})

test.each([[[]], [['short']], [[old, 'short']]])('weak secrets stop the boot: %j', async (secrets) => {
  await expect(openCatalog(secrets)).rejects.toMatchObject({ code: 'CALL_SECRETS_WEAK' })
  expect(() => issuer(secrets)).toThrow(expect.objectContaining({ code: 'CALL_SECRETS_WEAK' }))
})

test('a call has the token of its user, and nothing of the client whose request its handler answers', async () => {
  await using resources = new AsyncDisposableStack()
  const { app } = await openCatalog()
  app.get('/readyz', async () => '')
  app.get('/seen', async ({ headers, caller }) => ({ headers, caller }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  resources.defer(() => app.close())
  const address = app.server.address() as { port: number }
  const rotation = resources.use(
    await openRotation({
      urls: [new URL(`http://127.0.0.1:${address.port}`)],
      probeEveryMs: 50,
      timeoutMs: 1000,
      onChange() {},
    }),
  )
  const callee = createCallee(rotation, issuer([old]))
  const headers = {
    Cookie: 'session=1',
    authorization: 'Bearer 1',
    'x-forwarded-for': '192.0.2.1',
    'X-Forwarded-Host': 'shop.example',
    forwarded: 'for=192.0.2.1',
    'x-real-ip': '192.0.2.1',
    [TOKEN_HEADER]: 'of another call',
    accept: 'application/json',
  }
  const { body } = await callee.send({ method: 'GET', path: '/seen', headers, userId: 'ada' })
  expect(JSON.parse(String(body))).toEqual({
    headers: {
      host: `127.0.0.1:${address.port}`,
      accept: 'application/json',
      connection: 'keep-alive',
      'x-envoy-expected-rq-timeout-ms': expect.stringMatching(/^\d+$/) as string,
    },
    caller: { service: 'orders', userId: 'ada' },
  })
})
