import { randomUUID } from 'node:crypto'
import createError from '@fastify/error'
import { createEmptyDatabase, type TestDatabase } from '@repo/testing'
import fastify, { type FastifyInstance, type FastifyReply, type InjectOptions } from 'fastify'
import { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { answerOnce, idempotency, type IdempotencyOptions, type RawQueries } from '../src/index.ts'
import { toDatabase } from '@repo/testing/to-database'

// Two apps with a pool each share nothing but Postgres, as two processes do. infra/test/idempotency kills real ones.

const TABLES = `
  CREATE TABLE idempotency_keys (
    key text PRIMARY KEY, fingerprint text NOT NULL, status integer NOT NULL, headers jsonb NOT NULL, body text,
    expires_at timestamptz NOT NULL
  );
  CREATE TABLE orders (id bigserial PRIMARY KEY, title text NOT NULL)`

let postgres: TestDatabase
let pool: Pool
let database: ReturnType<typeof toDatabase>
const opened = new AsyncDisposableStack()

beforeAll(async () => {
  postgres = opened.use(await createEmptyDatabase())
  pool = openPool()
  database = toDatabase(pool)
  await pool.query(TABLES)
})
afterAll(() => opened.disposeAsync())
afterEach(() => pool.query('TRUNCATE idempotency_keys, orders'))

function openPool(): Pool {
  const made = opened.adopt(new Pool({ connectionString: postgres.url, max: 30 }), (it) => it.end())
  return made.on('error', () => {})
}

type Work = (tx: RawQueries) => Promise<unknown>

interface Options extends Partial<IdempotencyOptions> {
  /** What happens in the transaction after the order is written. */
  after?: Work
  config?: object
}

const OutOfStock = createError('OUT_OF_STOCK', 'There is none left.', 409)

/** A service that takes orders, with the user in a header. */
async function openApp({
  after,
  config = { idempotency: true },
  ...options
}: Options = {}): Promise<FastifyInstance> {
  const app = fastify()
  const ownDatabase = toDatabase(openPool())
  await app.register(idempotency, { ownerOf: (request) => `user:${request.headers['x-user']}`, ...options })
  app.post<{ Body: { title: string } }>('/orders/:shop', { config }, (request, reply) =>
    answerOnce(reply, ownDatabase, async (tx) => {
      const [order] = await tx.$queryRawUnsafe<[{ id: string }]>(
        'INSERT INTO orders (title) VALUES ($1) RETURNING id',
        request.body.title,
      )
      await after?.(tx)
      void reply.code(201).header('location', `/orders/${order.id}`).header('set-cookie', 'secret=1')
      return order
    }),
  )
  return app
}

const request = (key: string | undefined, more: InjectOptions = {}): InjectOptions => ({
  method: 'POST',
  url: '/orders/main',
  body: { title: 'tea' },
  ...more,
  headers: { 'x-user': 'ada', ...(key !== undefined && { 'idempotency-key': key }), ...more.headers },
})
const newKey = (): string => `"${randomUUID()}"`

async function countOrders(): Promise<number> {
  return (await pool.query('SELECT count(*)::int FROM orders')).rows[0].count
}

describe('a repeated request', () => {
  test('gets the same status, headers and bytes again, says so, and has no second effect', async () => {
    const [first, second] = [await openApp(), await openApp()]
    const key = newKey()

    const answer = await first.inject(request(key))
    const again = await second.inject(request(key))

    expect(answer.statusCode).toBe(201)
    expect(answer.headers).toMatchObject({
      'set-cookie': 'secret=1',
      'content-type': 'application/json; charset=utf-8',
    })
    expect(answer.headers).not.toHaveProperty('idempotent-replayed')
    expect(again.statusCode).toBe(201)
    expect(again.rawPayload).toEqual(answer.rawPayload)
    expect(again.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'idempotent-replayed': 'true',
      location: answer.headers.location,
    })
    expect(again.headers).not.toHaveProperty('set-cookie')
    expect(await countOrders()).toBe(1)
  })

  test('is one of fifty at once on two processes: one effect, and each other gets that answer, or 409 at once', async () => {
    const apps = [await openApp(), await openApp()]
    const key = newKey()

    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => apps[n % 2]!.inject(request(key))))

    const [made, refused] = [201, 409].map((status) =>
      answers.filter(({ statusCode }) => statusCode === status),
    )
    expect(made!.length + refused!.length).toBe(50)
    expect(new Set(made!.map(({ payload }) => payload)).size).toBe(1)
    expect(made!.filter(({ headers }) => !headers['idempotent-replayed'])).toHaveLength(1)
    for (const { headers } of refused!) expect(headers['retry-after']).toBe('1')
    expect(await countOrders()).toBe(1)
  })

  test('is refused while the first is under way, without waiting for it', async () => {
    const [underWay, end] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const first = await openApp({ after: () => (underWay.resolve(), end.promise) })
    const second = await openApp()
    const key = newKey()

    const answer = first.inject(request(key))
    await underWay.promise
    const early = await second.inject(request(key))
    end.resolve()

    expect(early.statusCode).toBe(409)
    expect(early.headers['retry-after']).toBe('1')
    expect(early.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE' })
    expect((await second.inject(request(newKey()))).statusCode).toBe(201)
    expect((await answer).statusCode).toBe(201)
    expect(await countOrders()).toBe(2)
  })

  test.each([
    ['another body', { body: { title: 'coffee' } }],
    ['another path', { url: '/orders/other' }],
    ['another query', { url: '/orders/main?rush=1' }],
  ])('with %s is refused', async (_, more) => {
    const app = await openApp()
    const key = newKey()
    await app.inject(request(key))

    const other = await app.inject(request(key, more))

    expect(other.statusCode).toBe(422)
    expect(other.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' })
    expect(await countOrders()).toBe(1)
  })

  test('never gets the answer of another user', async () => {
    const app = await openApp()
    const key = newKey()

    const ofAda = await app.inject(request(key))
    const ofGrace = await app.inject(request(key, { headers: { 'x-user': 'grace' } }))

    expect(ofGrace.statusCode).toBe(201)
    expect(ofGrace.json()).not.toEqual(ofAda.json())
    expect(ofGrace.headers).not.toHaveProperty('idempotent-replayed')
    expect(await countOrders()).toBe(2)
  })

  test('runs anew when the key has expired, and what has expired leaves the table, ten at a time', async () => {
    const app = await openApp()
    const keys = Array.from({ length: 15 }, newKey)
    for (const key of keys) await app.inject(request(key))
    await pool.query(`UPDATE idempotency_keys SET expires_at = now() - interval '1 second'`)

    const answer = await app.inject(request(keys[0]))

    expect(answer.headers).not.toHaveProperty('idempotent-replayed')
    expect(await countOrders()).toBe(16)
    expect((await pool.query('SELECT count(*)::int FROM idempotency_keys')).rows[0].count).toBe(5)
    expect((await app.inject(request(keys[0]))).headers['idempotent-replayed']).toBe('true')
  })

  test('is kept for a day, or as long as the service says', async () => {
    const ages = async () =>
      (await pool.query('SELECT extract(epoch FROM expires_at - now())::int AS s FROM idempotency_keys')).rows
    await (await openApp()).inject(request(newKey()))
    expect((await ages())[0].s).toBeGreaterThan(86_300)
    await pool.query('TRUNCATE idempotency_keys')
    await (await openApp({ expireAfterMs: 60_000 })).inject(request(newKey()))
    expect((await ages())[0].s).toBeLessThan(61)
  })
})

describe('nothing has happened, and the key is free, when', () => {
  test('the work throws', async () => {
    let isOut = true
    const app = await openApp({
      after: async () => {
        if (isOut) throw new OutOfStock()
      },
    })
    const key = newKey()

    expect((await app.inject(request(key))).json()).toMatchObject({ code: 'OUT_OF_STOCK', statusCode: 409 })
    expect(await countOrders()).toBe(0)
    isOut = false
    expect((await app.inject(request(key, { body: { title: 'coffee' } }))).statusCode).toBe(201)
    expect(await countOrders()).toBe(1)
  })

  test('the connection breaks between the effect and the answer', async () => {
    let isCut = false
    const cut: Work = async (tx) => {
      if (isCut) return
      isCut = true
      const [{ pid }] = await tx.$queryRawUnsafe<[{ pid: number }]>('SELECT pg_backend_pid() AS pid')
      await pool.query('SELECT pg_terminate_backend($1)', [pid])
    }
    const [first, second] = [await openApp({ after: cut }), await openApp()]
    const key = newKey()

    expect((await first.inject(request(key))).statusCode).toBe(500)
    expect(await countOrders()).toBe(0)
    // Postgres may need a moment to end the transaction, and answers 409 until then.
    const again = await vi.waitUntil(async () => {
      const answer = await second.inject(request(key))
      return answer.statusCode === 409 ? undefined : answer
    })

    expect(again.statusCode).toBe(201)
    expect(again.headers).not.toHaveProperty('idempotent-replayed')
    expect(await countOrders()).toBe(1)
  })

  test.each([
    ['the answer is not final', async (reply) => void reply.code(503)],
    ['the answer says to try later', async (reply) => void reply.code(429)],
    ['the answer is too long', async () => 'x'.repeat(65_537)],
    ['the answer is sent before the commit', async (reply) => reply.code(201).send({})],
    ['a refusal is sent before the commit', async (reply) => void reply.code(404).send({})],
    ['the answer is bytes', async () => Buffer.from('tea')],
  ] as [string, (reply: FastifyReply) => Promise<unknown>][])('%s', async (_, answer) => {
    const app = await openApp()
    app.post('/', { config: { idempotency: true } }, (_request, reply) =>
      answerOnce(reply, database, async (tx) => {
        await tx.$queryRawUnsafe(`INSERT INTO orders (title) VALUES ('tea')`)
        return answer(reply)
      }),
    )

    const { statusCode } = await app.inject(request(newKey(), { url: '/' }))

    expect(statusCode).toBe(500)
    expect(await countOrders()).toBe(0)
    expect((await pool.query('SELECT FROM idempotency_keys')).rowCount).toBe(0)
  })
})

describe('a key', () => {
  test.each([
    ['without quotes', 'abc'],
    ['that is empty', '""'],
    ['with parameters', '"abc";a=1'],
    ['that is two', '"abc", "def"'],
    ['that is not ASCII', '"ä"'],
    ['with an escape that there is not', String.raw`"a\b"`],
    ['that is longer than 255 characters', `"${'x'.repeat(256)}"`],
  ])('%s is refused', async (_, key) => {
    const answer = await (await openApp()).inject(request(key))
    expect(answer.statusCode).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_INVALID' })
    expect(await countOrders()).toBe(0)
  })

  test.each([`"${'x'.repeat(255)}"`, String.raw`"a \"b\" \\ c"`, '"1"'])('%s is accepted', async (key) => {
    expect((await (await openApp()).inject(request(key))).statusCode).toBe(201)
  })

  test('may be left out, and then each request has its effect; where it is required, none has', async () => {
    const app = await openApp()
    const strict = await openApp({ config: { idempotency: { required: true } } })

    expect((await app.inject(request(undefined))).statusCode).toBe(201)
    expect((await app.inject(request(undefined))).statusCode).toBe(201)
    const refused = await strict.inject(request(undefined))

    expect(refused.statusCode).toBe(400)
    expect(refused.json()).toMatchObject({ code: 'IDEMPOTENCY_KEY_MISSING' })
    expect((await strict.inject(request(newKey()))).statusCode).toBe(201)
    expect(await countOrders()).toBe(3)
  })

  test('is read after the hooks of the app and before the body', async () => {
    const app = await openApp()
    const steps: string[] = []
    app.addHook('onRequest', async () => void steps.push('session'))
    app.addHook('preParsing', async () => void steps.push('body'))
    app.post('/late', { config: { idempotency: true } }, async () => '')

    await app.inject(request('abc', { url: '/late' }))

    expect(steps).toEqual(['session'])
  })

  test('and its owner are not in the table', async () => {
    const key = newKey()
    await (await openApp()).inject(request(key))
    const [row] = (await pool.query('SELECT idempotency_keys::text AS row FROM idempotency_keys')).rows
    expect(row.row).not.toContain(key.slice(1, -1))
    expect(row.row).not.toContain('ada')
  })
})

describe('a mistake in a handler is answered 500 at the first request, with a key and without, as', () => {
  test.each([undefined, newKey()])('one that forgets answerOnce, or to wait for it (key %s)', async (key) => {
    const app = await openApp()
    app.post('/forgets', { config: { idempotency: true } }, async () => 'made')
    app.post('/hurries', { config: { idempotency: true } }, async (_request, reply) => {
      void answerOnce(reply, database, async () => 'made').catch(() => {})
      return {}
    })

    for (const url of ['/forgets', '/hurries']) {
      const answer = await app.inject(request(key, { url }))
      expect(answer.statusCode).toBe(500)
      expect(answer.json()).toMatchObject({
        code: 'IDEMPOTENCY_MISUSED',
        message: `POST ${url}: it was answered before the transaction of answerOnce was committed`,
      })
    }
  })

  test('one that reads its body by itself, because another body would not be noticed', async () => {
    const app = await openApp()
    app.addContentTypeParser('text/csv', (_request, _payload, done) => done(null))
    app.addContentTypeParser('text/tab-separated-values', (_request, payload, done) => done(null, payload))
    app.post('/import', { config: { idempotency: true } }, (_request, reply) =>
      answerOnce(reply, database, async () => 'made'),
    )

    for (const type of ['text/csv', 'text/tab-separated-values']) {
      const answer = await app.inject(
        request(newKey(), { url: '/import', body: 'a', headers: { 'content-type': type } }),
      )
      expect(answer.json()).toMatchObject({
        code: 'IDEMPOTENCY_MISUSED',
        message: expect.stringContaining('its body'),
      })
    }
  })

  test('one of a route that does not ask for keys', async () => {
    const app = await openApp()
    app.post('/other', (_request, reply) => answerOnce(reply, database, async () => 'made'))
    const answer = await app.inject(request(newKey(), { url: '/other' }))
    expect(answer.json()).toMatchObject({
      code: 'IDEMPOTENCY_MISUSED',
      message: 'POST /other: answerOnce is for routes with config.idempotency',
    })
  })
})

test('an answer may be a text, or have no body, or be a refusal that is returned', async () => {
  const app = await openApp()
  const answers: Record<string, [status: number, body: unknown]> = {
    '/text': [200, 'made'],
    '/empty': [204, undefined],
    '/refusal': [404, { code: 'GONE' }],
  }
  for (const [url, [status, body]] of Object.entries(answers))
    app.post(url, { config: { idempotency: true } }, (_request, reply) =>
      answerOnce(reply, database, async () => {
        void reply.code(status)
        return body
      }),
    )

  for (const url of Object.keys(answers)) {
    const key = newKey()
    const [first, again] = [await app.inject(request(key, { url })), await app.inject(request(key, { url }))]
    expect(first.statusCode).toBe(answers[url]![0])
    expect(again.headers['idempotent-replayed']).toBe('true')
    for (const name of ['content-type', 'content-length'])
      expect(again.headers[name]).toBe(first.headers[name])
    expect([again.statusCode, again.payload]).toEqual([first.statusCode, first.payload])
  }
})

describe('the boot stops, and says which route and why, when', () => {
  test.each([
    ['PUT', true, 'is for POST and PATCH'],
    ['GET', true, 'is for POST and PATCH'],
    ['POST', { required: false }, 'is true or { required: true }'],
    ['POST', 'yes', 'is true or { required: true }'],
  ] as const)('%s has config.idempotency %j', async (method, wanted, words) => {
    const app = await openApp()
    const config = { idempotency: wanted as true }
    expect(() => app.route({ method, url: '/items', config, handler: async () => '' })).toThrow(
      expect.objectContaining({
        code: 'IDEMPOTENCY_INVALID',
        message: expect.stringContaining(`${method} /items: config.idempotency: ${words}`),
      }),
    )
  })
})
