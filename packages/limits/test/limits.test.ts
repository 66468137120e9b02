import { startPostgres, type BackingService } from '@repo/testing'
import fastify, { type FastifyInstance } from 'fastify'
import { Pool } from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { limits, migrateLimits, type Limit, type LimitsOptions } from '../src/index.ts'

// Uses Postgres, which every machine has. infra/test/stores tries every store.

let postgres: BackingService
let pool: Pool
let options: LimitsOptions

beforeAll(async () => {
  postgres = await startPostgres()
  pool = new Pool({ connectionString: postgres.url, connectionTimeoutMillis: 1000, query_timeout: 1000 })
  pool.on('error', () => {})
  options = {
    store: { postgres: { query: async (text, values) => (await pool.query(text, [...values])).rows } },
    userOf: (request) => String(request.headers['x-user']),
  }
  await migrateLimits({ query: async (text) => (await pool.query(text)).rows })
})
afterAll(async () => {
  await pool.end()
  await postgres[Symbol.asyncDispose]()
})
beforeEach(() => pool.query('TRUNCATE limit_counter'))

/** Longer than a busy machine needs. */
const patient = { deadlineMs: 20_000 }
const perNetwork: Limit = { max: 3, per: 'network', windowMs: 60_000 }
const route = (limit: Limit, access: 'public' | 'user' | 'service' = 'public') => ({
  config: { access, limit },
})

/** A service like those of @repo/service: it knows the network of each request. Two of them share nothing. */
async function openApp(more: Partial<LimitsOptions> = {}): Promise<FastifyInstance> {
  const app = fastify()
  app.decorateRequest('network', {
    getter() {
      return this.ip
    },
  })
  await app.register(limits, { ...options, ...more })
  return app
}

describe('a limit', () => {
  test('allows that many requests of a network, says how many are left, and refuses the others until the window ends', async () => {
    const app = await openApp()
    app.get('/', route(perNetwork), async () => 'read')

    const answers = []
    for (let n = 0; n < 5; n += 1) answers.push(await app.inject('/'))

    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 429, 429])
    expect(answers.map(({ headers }) => headers['ratelimit-remaining'])).toEqual(['2', '1', '0', '0', '0'])
    expect(answers[0]!.headers).toMatchObject({ 'ratelimit-limit': '3', 'ratelimit-reset': '60' })
    expect(answers[3]!.headers['retry-after']).toMatch(/^(60|59)$/)
    expect(answers[3]!.json()).toMatchObject({ code: 'LIMIT_REACHED', statusCode: 429 })
    expect(answers[0]!.headers['retry-after']).toBeUndefined()
    expect((await app.inject({ url: '/', remoteAddress: '198.51.100.7' })).statusCode).toBe(200)
  })

  test('is shared by all processes, even for many requests at once', async () => {
    const apps = await Promise.all([openApp(patient), openApp(patient), openApp(patient)])
    for (const app of apps) app.get('/', route({ ...perNetwork, max: 20 }), async () => 'read')

    const answers = await Promise.all(Array.from({ length: 90 }, (_, n) => apps[n % 3]!.inject('/')))

    expect(answers.filter(({ statusCode }) => statusCode === 200)).toHaveLength(20)
    expect(answers.filter(({ statusCode }) => statusCode === 429)).toHaveLength(70)
  })

  test('ends with its window, which later requests do not move', async () => {
    const app = await openApp()
    app.get('/', route({ ...perNetwork, max: 1, windowMs: 1000 }), async () => 'read')
    expect((await app.inject('/')).statusCode).toBe(200)
    const begunAt = performance.now()

    let answer = await app.inject('/')
    expect(answer.statusCode).toBe(429)
    while (answer.statusCode === 429) answer = await app.inject('/')

    expect(answer.headers['ratelimit-remaining']).toBe('0')
    expect(performance.now() - begunAt).toBeGreaterThan(900)
    expect(performance.now() - begunAt).toBeLessThan(5000)
  })

  test('is of one route: a GET and its HEAD count together, other methods and paths do not', async () => {
    const app = await openApp()
    app.get('/items/:id', route(perNetwork), async () => 'read')
    app.post('/items/:id', route(perNetwork), async () => 'written')

    for (const [method, url] of [
      ['GET', '/items/1'],
      ['HEAD', '/items/2'],
      ['GET', '/items/3'],
    ] as const) {
      expect((await app.inject({ method, url })).statusCode).toBe(200)
    }
    expect((await app.inject({ method: 'HEAD', url: '/items/1' })).statusCode).toBe(429)
    expect((await app.inject({ method: 'POST', url: '/items/1' })).statusCode).toBe(200)
  })

  test('per user counts the requests of a user from any network', async () => {
    const app = await openApp()
    app.get('/', route({ ...perNetwork, max: 1, per: 'user' }, 'user'), async () => 'read')
    const ask = (user: string, remoteAddress: string) =>
      app.inject({ url: '/', headers: { 'x-user': user }, remoteAddress })

    expect((await ask('ada', '198.51.100.1')).statusCode).toBe(200)
    expect((await ask('ada', '198.51.100.2')).statusCode).toBe(429)
    expect((await ask('grace', '198.51.100.2')).statusCode).toBe(200)
  })

  test('is asked for after the hooks of the app and before the body is read', async () => {
    const app = await openApp()
    const steps: string[] = []
    app.addHook('onRequest', async () => void steps.push('session'))
    app.addHook('preParsing', async () => void steps.push('body'))
    app.post('/', route({ ...perNetwork, max: 1 }), async () => 'written')

    await app.inject({ method: 'POST', url: '/', body: {} })
    await app.inject({ method: 'POST', url: '/', body: {} })

    expect(steps).toEqual(['session', 'body', 'session'])
  })
})

test('what has expired leaves the table by itself', async () => {
  const app = await openApp()
  app.get('/', route(perNetwork), async () => 'read')
  await app.inject('/')
  await pool.query(`UPDATE limit_counter SET expires_at = now() - interval '1 second'`)
  await app.inject({ url: '/', remoteAddress: '198.51.100.7' })

  expect((await pool.query('SELECT count(*)::int FROM limit_counter')).rows).toEqual([{ count: 1 }])
})

describe('while the store is away', () => {
  test('a request is let through within the deadline, or refused if its route says so, and later counted again', async () => {
    const app = await openApp()
    app.get('/allows', route(perNetwork), async () => 'read')
    app.get('/refuses', route({ ...perNetwork, whenAway: 'refuse' }), async () => 'read')
    await app.inject('/allows')

    await postgres.freeze()
    const begunAt = performance.now()
    const [allowed, refused] = await Promise.all([app.inject('/allows'), app.inject('/refuses')])
    const tookMs = performance.now() - begunAt
    await postgres.thaw()

    expect(allowed.statusCode).toBe(200)
    expect(refused.statusCode).toBe(503)
    expect(refused.json()).toMatchObject({ code: 'LIMIT_STORE_UNAVAILABLE' })
    expect(tookMs).toBeGreaterThan(450)
    expect(tookMs).toBeLessThan(1500)
    await expect.poll(async () => (await app.inject('/refuses')).statusCode).toBe(200)
  })

  test('a process boots', async () => {
    const away = { postgres: { query: () => Promise.reject(new Error('connect ECONNREFUSED')) } }
    const app = await openApp({ store: away })
    app.get('/', route(perNetwork), async () => 'read')

    expect((await app.inject('/')).statusCode).toBe(200)
  })
})

describe('the boot stops, and says which route and why, when', () => {
  test.each([
    ['max is none', { ...perNetwork, max: 0 }, 'public', 'max is a whole number'],
    [
      'the window has another unit',
      { ...perNetwork, windowMs: 60 },
      'public',
      'windowMs is a second to 30 days',
    ],
    ['it is per something else', { ...perNetwork, per: 'ip' }, 'public', "per is 'network' or 'user'"],
    ['it is per user where nobody is', { ...perNetwork, per: 'user' }, 'public', "access: 'user'"],
    ['it is per user where services are', { ...perNetwork, per: 'user' }, 'service', "access: 'user'"],
  ] as const)('%s', async (_, limit, access, words) => {
    const app = await openApp()
    expect(() => app.get('/items', route(limit as Limit, access), async () => 'read')).toThrow(
      expect.objectContaining({
        code: 'LIMIT_INVALID',
        message: expect.stringMatching(new RegExp(`^GET /items: config.limit: .*${words}`)),
      }),
    )
  })

  test('nothing knows the network, or the person, of a request', async () => {
    const app = fastify()
    await app.register(limits, { store: options.store })
    expect(() => app.get('/', route(perNetwork), async () => 'read')).toThrow('request.network')
    expect(() => app.get('/', route({ ...perNetwork, per: 'user' }, 'user'), async () => 'read')).toThrow(
      'userOf',
    )
  })
})
