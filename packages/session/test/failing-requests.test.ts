import { setTimeout as sleep } from 'node:timers/promises'
import { needs } from '@repo/testing/programs'
import { startRedis } from '@repo/testing/start-redis'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endAllSessions, endSession, listSessions, openSessionStore, session } from '../src/index.ts'
import { currentUser, signIn, signOut } from '../src/index.ts'
import { deadlineOf } from '../src/session-cookie.ts'

// Vitest fails a run with an unhandled rejection, so these tests also check that there is none.
const resources = new AsyncDisposableStack()
const redis = await startRedis()
if (redis) resources.use(redis)
afterAll(() => resources.disposeAsync())

interface Cart {
  update(key: 'n', change: (n?: number) => number | Promise<number>): Promise<number>
  n?: number
}
const cartOf = ({ session }: FastifyRequest): Cart => session as unknown as Cart

class Conflict extends Error {
  statusCode = 409
  code = 'CONFLICT'
}

const fails = (request: FastifyRequest): Promise<unknown> =>
  cartOf(request).update('n', async () => {
    await sleep(20)
    throw new Conflict('No more.')
  })

describe('a request that fails', needs('redis'), () => {
  const lines: string[] = []
  const late = Promise.withResolvers<void>()
  let app: FastifyInstance
  let admin: Redis
  let mine: string
  let work: (request: FastifyRequest, reply: FastifyReply) => unknown

  beforeAll(async () => {
    admin = new Redis(redis!.url)
    const store = resources.use(await openSessionStore(redis!.url))
    app = Fastify({ logger: { stream: { write: (line) => void lines.push(line) } } })
    await app.register(session, { store, secrets: ['x'.repeat(32)], origin: 'http://localhost' })
    const config = { access: 'public' } as const
    app.post('/sign-in', { config }, async (request) => signIn(request, { id: 'ada' }))
    app.post('/work', { config }, async (request, reply) => (await work(request, reply)) ?? {})
    app.get('/me', { config: { access: 'user' } }, async (request) => currentUser(request))
    resources.defer(async () => {
      await app.close()
      admin.disconnect()
    })
  })

  const post = (url: string, cookie = '') =>
    app.inject({ method: 'POST', url, headers: cookie ? { cookie } : {} })
  const me = (cookie: string) => app.inject({ url: '/me', headers: { cookie } })
  const cookieOf = (answer: Awaited<ReturnType<typeof post>>): string =>
    String(answer.headers['set-cookie'] ?? '').split(';')[0]!

  async function signedIn(): Promise<string> {
    return cookieOf(await post('/sign-in'))
  }

  /** Until the disposal Redis answers reads and refuses writes, like a master that has lost its replicas. */
  async function refuseWrites(): Promise<AsyncDisposable> {
    await admin.config('SET', 'min-replicas-to-write', '1')
    return {
      async [Symbol.asyncDispose]() {
        await admin.config('SET', 'min-replicas-to-write', '0')
      },
    }
  }

  const forgotten: Record<string, (request: FastifyRequest) => unknown> = {
    signOut: (request) => signOut(request),
    endAllSessions: (request) => endAllSessions(request, 'ada'),
    endSession: (request) => endSession(request, 'ada', mine),
    save: (request) => ((cartOf(request).n = 1), request.session.save()),
    update: (request) => cartOf(request).update('n', (n = 0) => n + 1),
    destroy: (request) => request.session.destroy(),
    'regenerate and save': (request) => (void request.session.regenerate(['user']), request.session.save()),
  }

  test.each(Object.keys(forgotten))(
    'is answered 503 when %s failed, though nobody awaited it',
    async (name) => {
      const cookie = await signedIn()
      mine = (await listSessions(app, 'ada'))[0]!.id
      work = (request) => void forgotten[name]!(request)
      await using _ = await refuseWrites()
      const answer = await post('/work', cookie)
      expect(answer.json()).toMatchObject({ statusCode: 503, code: 'SESSION_STORE_UNAVAILABLE' })
      expect((await me(cookie)).statusCode).toBe(200)
    },
  )

  test('is answered as its route likes, when the route has caught the failure', async () => {
    const cookie = await signedIn()
    work = async (request) => ({
      ended: await endAllSessions(request, 'ada').catch(({ code }: { code: string }) => code),
    })
    await using _ = await refuseWrites()
    expect((await post('/work', cookie)).json()).toEqual({ ended: 'SESSION_STORE_UNAVAILABLE' })
  })

  test('an update that nobody awaits is done before the answer, and decides it', async () => {
    const cookie = await signedIn()
    work = (request) => void cartOf(request).update('n', async (n = 0) => (await sleep(20), n + 1))
    expect((await post('/work', cookie)).statusCode).toBe(200)
    work = (request) => ({ n: cartOf(request).n })
    expect((await post('/work', cookie)).json()).toEqual({ n: 1 })

    work = (request) => void fails(request)
    expect((await post('/work', cookie)).json()).toMatchObject({ statusCode: 409, code: 'CONFLICT' })
    work = async (request) => ({ caught: await fails(request).catch(({ code }) => code) })
    expect((await post('/work', cookie)).json()).toEqual({ caught: 'CONFLICT' })
  })

  test('a failure that comes after the answer, or that no request asked for, is logged', async () => {
    const cookie = await signedIn()
    work = (request, reply) => {
      reply.raw.once('finish', () => {
        void signOut(request)
        late.resolve()
      })
    }
    await using _ = await refuseWrites()
    lines.length = 0
    expect((await post('/work', cookie)).statusCode).toBe(200)
    await late.promise
    void endAllSessions(app, 'ada')
    const logged = (): string[] => lines.filter((line) => line.includes('nobody awaited it'))
    await expect.poll(() => logged().length).toBe(2)
    expect(logged()[0]).toContain('NOREPLICAS')
  })

  const ways: Record<string, (reply: FastifyReply) => unknown> = {
    'throws a 409': () => {
      throw new Conflict()
    },
    'throws what has no status': () => {
      throw new Error('an accident')
    },
    'sends an error': (reply) => reply.send(new Conflict()),
    'answers 503 itself': (reply) => reply.code(503).send({}),
  }

  test.each(Object.keys(ways))(
    'that %s signs nobody in, neither in the browser nor in the store',
    async (way) => {
      const before = await admin.dbsize()
      work = async (request, reply) => {
        await signIn(request, { id: `nobody ${way}` })
        await request.session.save()
        reply.setCookie('trusted', 'yes')
        return ways[way]!(reply)
      }
      const answer = await post('/work')
      expect(answer.statusCode).toBeGreaterThanOrEqual(400)
      expect(answer.headers['set-cookie']).toBeUndefined()
      expect(await listSessions(app, `nobody ${way}`)).toEqual([])
      expect(await admin.dbsize()).toBe(before)
    },
  )

  test('that throws stores nothing, and leaves in who was in', async () => {
    const cookie = await signedIn()
    work = (request) => {
      cartOf(request).n = 7
      throw new Conflict()
    }
    expect((await post('/work', cookie)).statusCode).toBe(409)
    work = (request) => ({ n: cartOf(request).n ?? 'none' })
    expect((await post('/work', cookie)).json()).toEqual({ n: 'none' })
    // The old id has ended, so without the new one the user would be signed out.
    work = async (request) => {
      await request.session.regenerate(['user'])
      await request.session.save()
      throw new Conflict()
    }
    const renewed = cookieOf(await post('/work', cookie))
    expect((await me(cookie)).statusCode).toBe(401)
    expect((await me(renewed)).json()).toEqual({ id: 'ada' })
  })

  test('that refuses without an error stores what it changed', async () => {
    work = (request, reply) => {
      cartOf(request).n = 3
      return reply.code(422).send({})
    }
    const cookie = cookieOf(await post('/work'))
    work = (request) => ({ n: cartOf(request).n })
    expect((await post('/work', cookie)).json()).toEqual({ n: 3 })
  })

  test('reload past the absolute limit is a session that is gone, not a store that refuses', async () => {
    const short = Fastify()
    const store = app.sessions.store
    const options = { secrets: ['x'.repeat(32)], origin: 'http://localhost', absoluteMs: 300 }
    await short.register(session, { store, ...options })
    short.post('/sign-in', { config: { access: 'public' } }, async (request) =>
      signIn(request, { id: 'ada' }),
    )
    short.post('/reload', { config: { access: 'user' } }, async (request) => {
      await sleep(deadlineOf(request.session.sessionId) - Date.now() + 10)
      await request.session.reload()
    })
    const cookie = cookieOf(await short.inject({ method: 'POST', url: '/sign-in' }))
    const answer = await short.inject({ method: 'POST', url: '/reload', headers: { cookie } })
    await short.close()
    expect(answer.json()).toMatchObject({ statusCode: 401, code: 'SESSION_GONE' })
  })
})
