import { setTimeout as sleep } from 'node:timers/promises'
import { sessionStoreUrl } from '@repo/testing'
import Fastify, { type FastifyInstance, type FastifyRequest, type InjectOptions } from 'fastify'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import {
  currentUser,
  endAllSessions,
  endSession,
  listSessions,
  openSessionStore,
  session,
} from '../src/index.ts'
import { signIn, signOut, type SessionStore } from '../src/index.ts'
import { keyOf } from '../src/session-cookie.ts'

declare module 'fastify' {
  interface Session {
    cart?: string[]
    theme?: string
    visits?: number
  }
}

const secrets = ['a secret of at least thirty-two characters']
const apps: FastifyInstance[] = []
let store: SessionStore

beforeAll(async () => {
  store = await openSessionStore(await sessionStoreUrl())
})
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})
afterAll(() => store[Symbol.asyncDispose]())

/** A service with common routes and those of the test. */
async function openApp(
  routes: (app: FastifyInstance) => void,
  origin = 'http://localhost',
): Promise<FastifyInstance> {
  const app = Fastify()
  apps.push(app)
  await app.register(session, { store, secrets, origin })
  const config = { access: 'public' } as const
  app.post('/sign-in', { config }, async (request) => {
    await signIn(request, request.body as { id: string })
    return {}
  })
  app.post('/sign-out', { config }, async (request) => {
    await signOut(request)
    return {}
  })
  app.get('/me', { config: { access: 'user' } }, async (request) => currentUser(request))
  app.get('/data', { config }, async (request) => ({ ...request.session }))
  routes(app)
  return app
}

/** A browser with one cookie jar. */
function browse(app: FastifyInstance, jar = { cookie: '' }) {
  return async (method: 'GET' | 'POST' | 'HEAD', url: string, options: InjectOptions = {}) => {
    const answer = await app.inject({
      method,
      url,
      headers: jar.cookie ? { cookie: jar.cookie } : {},
      ...options,
    })
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      jar.cookie = line.includes('Max-Age=0') ? '' : line.split(';')[0]!
    }
    return answer
  }
}

test('a service is given the checks of all kinds of users, and runs them in place of the plugin', async () => {
  const checks: [string, (request: FastifyRequest, access: string) => void][] = []
  const app = Fastify()
  apps.push(app)
  app.decorate('addAccessCheck', (kind, check) => void checks.push([kind, check as never]))
  await app.register(session, { store, secrets, origin: 'http://localhost' })
  app.get('/', { config: { access: 'user' } }, async (request) => checks[0]![1](request, 'user'))
  expect(checks.map(([kind]) => kind)).toEqual(['user', 'fresh-user', 'role'])
  expect((await app.inject('/')).json()).toMatchObject({ code: 'SIGNED_OUT' })
})

test('a user route is 401 for who is not signed in, its HEAD as well, and an unknown path is 404', async () => {
  const ask = browse(await openApp(() => {}))
  expect((await ask('GET', '/me')).json()).toMatchObject({ statusCode: 401, code: 'SIGNED_OUT' })
  expect((await ask('HEAD', '/me')).statusCode).toBe(401)
  expect((await ask('GET', '/nowhere')).statusCode).toBe(404)
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect((await ask('GET', '/me')).json()).toEqual({ id: 'ada' })
  expect((await ask('HEAD', '/me')).statusCode).toBe(200)
})

test('without @repo/service, which knows lists, a list of accesses requires all that is in it', async () => {
  const ask = browse(
    await openApp((app) => {
      const config = { access: ['user', { role: 'admin' }] }
      app.get('/admin', { config } as object, async (request) => currentUser(request))
    }),
  )
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect((await ask('GET', '/admin')).json()).toMatchObject({ statusCode: 403, code: 'ROLE_MISSING' })
  await ask('POST', '/sign-in', { payload: { id: 'ada', roles: ['admin'] } })
  expect((await ask('GET', '/admin')).statusCode).toBe(200)
})

test('a role route is 403 for a user without the role, and the roles are those of the sign-in', async () => {
  const ask = browse(
    await openApp((app) => {
      app.get('/admin', { config: { access: { role: 'admin' } } }, async (request) => currentUser(request))
    }),
  )
  expect((await ask('GET', '/admin')).json()).toMatchObject({ statusCode: 401, code: 'SIGNED_OUT' })
  for (const payload of [{ id: 'ada' }, { id: 'ada', roles: [] }, { id: 'ada', roles: ['administrator'] }]) {
    await ask('POST', '/sign-in', { payload })
    expect((await ask('GET', '/admin')).json()).toMatchObject({ statusCode: 403, code: 'ROLE_MISSING' })
  }
  await ask('POST', '/sign-in', { payload: { id: 'ada', roles: ['editor', 'admin'] } })
  const answer = await ask('GET', '/admin')
  expect(answer.json()).toEqual({ id: 'ada', roles: ['editor', 'admin'] })
  expect(answer.headers['cache-control']).toBe('no-store')
  expect((await ask('HEAD', '/admin')).statusCode).toBe(200)
})

test('a fresh-user route is 403 ten minutes after the sign-in, whatever the session did since, until the next one', async () => {
  const ask = browse(
    await openApp((app) => {
      app.get('/fresh', { config: { access: 'fresh-user' } }, async (request) => currentUser(request))
      app.post('/renew', { config: { access: 'user' } }, async ({ session }) => session.regenerate(['user']))
    }),
  )
  onTestFinished(() => void vi.useRealTimers())
  vi.useFakeTimers({ toFake: ['Date'] })
  expect((await ask('GET', '/fresh')).json()).toMatchObject({ statusCode: 401, code: 'SIGNED_OUT' })
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  vi.setSystemTime(Date.now() + 9 * 60_000)
  expect((await ask('GET', '/fresh')).json()).toEqual({ id: 'ada' })
  expect((await ask('POST', '/renew')).statusCode).toBe(200)
  vi.setSystemTime(Date.now() + 2 * 60_000)
  expect((await ask('GET', '/fresh')).json()).toMatchObject({ statusCode: 403, code: 'SESSION_NOT_FRESH' })
  expect((await ask('GET', '/me')).statusCode).toBe(200)
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect((await ask('GET', '/fresh')).statusCode).toBe(200)
})

test('with an https origin the cookie is __Host- and Secure, though the last hop is plain http, and so is its clearing', async () => {
  const ask = browse(await openApp(() => {}, 'https://example.com'))
  const signedIn = await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  const expected =
    /^__Host-session=\S+; Max-Age=43200; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Lax$/
  expect(signedIn.headers['set-cookie']).toMatch(expected)
  expect((await ask('GET', '/me')).statusCode).toBe(200)
  const signedOut = await ask('POST', '/sign-out')
  expect(signedOut.headers['set-cookie']).toMatch(
    /^__Host-session=; Max-Age=0; Path=\/; Expires=[^;]+; HttpOnly; Secure;/,
  )
})

test('an answer that is one person’s is not stored by any cache, unless the route says otherwise', async () => {
  const ask = browse(
    await openApp((app) => {
      const config = { access: 'public' } as const
      app.get('/prices', { config }, async () => ({ book: 7 }))
      app.get('/greeting', { config }, async ({ session }) => (session.user ? 'Hello again' : 'Hello'))
      app.get('/own-words', { config: { access: 'user' } }, async (_request, reply) => {
        reply.header('cache-control', 'private, max-age=60')
        return 'mine'
      })
      app.get('/static', { config: { access: 'user' } }, async () => 'for those who are in')
    }),
  )
  const cached = async (url: string) => (await ask('GET', url)).headers['cache-control']
  // Also when nobody is signed in: a cache would give the answer to users.
  expect(await cached('/greeting')).toBe('no-store')
  expect(await cached('/static')).toBe('no-store')
  expect(await cached('/prices')).toBeUndefined()
  const signedIn = await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect(signedIn.headers['cache-control']).toBe('no-store')
  expect(await cached('/prices')).toBeUndefined()
  expect(await Promise.all(['/greeting', '/me', '/data', '/static'].map(cached))).toEqual(
    Array.from({ length: 4 }, () => 'no-store'),
  )
  expect(await cached('/own-words')).toBe('private, max-age=60')
  expect((await ask('POST', '/sign-out')).headers['cache-control']).toBe('no-store')
})

test('a sign-out has the browser forget what pages stored, and no cookie but that of the session', async () => {
  const ask = browse(await openApp(() => {}))
  const signedIn = await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect(signedIn.headers['clear-site-data']).toBeUndefined()
  expect((await ask('POST', '/sign-out')).headers['clear-site-data']).toBe('"storage"')
})

test('a write sends no cookie, so a late answer cannot put an old id back into the browser', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/theme', { config: { access: 'user' } }, async (request) => ({
        theme: (request.session.theme = 'dark'),
      }))
    }),
  )
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  const answer = await ask('POST', '/theme')
  expect(answer.headers['set-cookie']).toBeUndefined()
  expect((await ask('GET', '/data')).json()).toMatchObject({ theme: 'dark' })
})

test('an object that is changed in place is stored, and one that is only read is not', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/add', { config: { access: 'public' } }, async (request) => {
        request.session.cart ??= []
        request.session.cart.push('book')
        return {}
      })
    }),
  )
  for (let i = 0; i < 3; i += 1) await ask('POST', '/add')
  expect((await ask('GET', '/data')).json()).toEqual({ cart: ['book', 'book', 'book'] })
})

test('keys are deleted, found and listed as on any object', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/play', { config: { access: 'public' } }, async ({ session }) => {
        const before = ['theme' in session, Object.keys(session)]
        Object.assign(session, { theme: 'dark', visits: 1 })
        delete session.visits
        return [...before, 'theme' in session, Object.keys(session), session.get('theme')]
      })
    }),
  )
  expect((await ask('POST', '/play')).json()).toEqual([false, [], true, ['theme'], 'dark'])
  expect((await ask('POST', '/play')).json()).toEqual([true, ['theme'], true, ['theme'], 'dark'])
})

test('set and get take any key, and a property named like a method is refused', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/odd', { config: { access: 'public' } }, async ({ session }) => {
        const odd = session as unknown as {
          set(key: string, value: unknown): void
          get(key: string): unknown
        }
        for (const key of ['save', '__proto__', 'user ', 'sessionId']) odd.set(key, `as ${key}`)
        return ['save', '__proto__', 'user ', 'sessionId'].map((key) => odd.get(key))
      })
      app.post('/refused', { config: { access: 'public' } }, async ({ session }) => {
        ;(session as unknown as Record<string, unknown>)['save'] = 1
        return {}
      })
    }),
  )
  const expected = ['as save', 'as __proto__', 'as user ', 'as sessionId']
  expect((await ask('POST', '/odd')).json()).toEqual(expected)
  expect((await ask('POST', '/odd')).json()).toEqual(expected)
  expect((await ask('POST', '/refused')).json()).toMatchObject({
    code: 'SESSION_KEY_RESERVED',
    statusCode: 400,
  })
})

test('after a sign-out the same request may begin a new, anonymous session', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/leave', { config: { access: 'user' } }, async (request) => {
        await signOut(request)
        request.session.theme = 'goodbye'
        return {}
      })
    }),
  )
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  await ask('POST', '/leave')
  expect((await ask('GET', '/data')).json()).toEqual({ theme: 'goodbye' })
  expect((await ask('GET', '/me')).statusCode).toBe(401)
})

test('what a route does not await is still done before its answer, and its failure is the answer', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/leave', { config: { access: 'user' } }, async (request) => {
        void signOut(request)
        return {}
      })
      app.post('/reload', { config: { access: 'user' } }, async (request) => {
        await endAllSessions(request, currentUser(request).id)
        void request.session.reload()
        return {}
      })
    }),
  )
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect((await ask('POST', '/leave')).headers['set-cookie']).toContain('Max-Age=0')
  await ask('POST', '/sign-in', { payload: { id: 'grace' } })
  expect((await ask('POST', '/reload')).json()).toMatchObject({ code: 'SESSION_GONE' })
})

test('what belonged to one person does not go along when another signs in on the same browser', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/theme', { config: { access: 'user' } }, async (request) => ({
        theme: (request.session.theme = 'dark'),
      }))
    }),
  )
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  await ask('POST', '/theme')
  await ask('POST', '/sign-in', { payload: { id: 'grace' } })
  expect((await ask('GET', '/data')).json()).toEqual({ user: { id: 'grace' } })
})

test('an update of a session that its own request has ended meanwhile finds it gone, and asks the store nothing', async () => {
  const patch = vi.spyOn(store, 'patch')
  onTestFinished(() => patch.mockRestore())
  const ask = browse(
    await openApp((app) => {
      app.post('/both', { config: { access: 'public' } }, async (request) => {
        const ended = signOut(request)
        const late = request.session.update('visits', async (visits = 0) => {
          await ended
          return visits + 1
        })
        return await late
      })
    }),
  )
  await ask('POST', '/sign-in', { payload: { id: 'ada' } })
  expect((await ask('POST', '/both')).statusCode).toBe(401)
  expect(patch).not.toHaveBeenCalled()
})

test('a callback, which the types of @fastify/session offer, is refused: it gets the error, wherever it is given', async () => {
  const ask = browse(
    await openApp((app) => {
      app.post('/callback', { config: { access: 'public' } }, (request, reply) => {
        request.session.save(() => reply.send({}))
      })
      app.post('/later', { config: { access: 'public' } }, (request, reply) => {
        // What is thrown in here would end the process.
        setImmediate(() => request.session.save((error: Error) => reply.send({ told: error.message })))
      })
    }),
  )
  for (const path of ['/callback', '/later']) {
    const answer = await ask('POST', path)
    expect(answer.json()).toMatchObject({ statusCode: 500, message: expect.stringContaining('no callback') })
  }
})

test('a person sees where they are signed in, ends one place, and all others', async () => {
  const app = await openApp((app) => {
    const config = { access: 'user' } as const
    app.get('/sessions', { config }, async (request) => listSessions(request, currentUser(request).id))
    app.post('/end/:id', { config }, async (request) => ({
      isEnded: await endSession(request, currentUser(request).id, (request.params as { id: string }).id),
    }))
    app.post('/end-others', { config }, async (request) => ({
      ended: await endAllSessions(request, currentUser(request).id, { except: 'current' }),
    }))
  })
  const id = `person-${Date.now()}`
  const [laptop, phone, other] = [browse(app), browse(app), browse(app)]
  for (const [ask, userAgent] of [
    [laptop, 'laptop'],
    [phone, 'phone'],
  ] as const) {
    await ask('POST', '/sign-in', { payload: { id }, headers: { 'user-agent': userAgent } })
    // Two sessions of the same millisecond have no fixed order.
    await sleep(2)
  }
  await other('POST', '/sign-in', { payload: { id: 'somebody-else' } })

  const sessions = (await laptop('GET', '/sessions')).json()
  expect(sessions).toMatchObject([
    { userAgent: 'phone', current: false },
    { userAgent: 'laptop', current: true },
  ])
  for (const { createdAt, lastSeenAt } of sessions) {
    expect(Math.abs(Date.now() - Date.parse(createdAt))).toBeLessThan(5000)
    expect(Math.abs(Date.now() - Date.parse(lastSeenAt))).toBeLessThan(5000)
  }
  expect((await other('POST', `/end/${sessions[0].id}`)).json()).toEqual({ isEnded: false })
  expect((await phone('GET', '/me')).statusCode).toBe(200)
  expect((await laptop('POST', `/end/${sessions[0].id}`)).json()).toEqual({ isEnded: true })
  expect((await phone('GET', '/me')).statusCode).toBe(401)
  await phone('POST', '/sign-in', { payload: { id } })
  expect((await laptop('POST', '/end-others')).json()).toEqual({ ended: 1 })
  expect((await phone('GET', '/me')).statusCode).toBe(401)
  expect((await laptop('GET', '/me')).statusCode).toBe(200)
  expect(await endAllSessions(app, id)).toBe(1)
})

test('a name on the list that never got a session is cleared away once its sign-in must be over', async () => {
  const app = await openApp(() => {})
  const id = `leftover-${Date.now()}`
  const owner = { key: keyOf(id), until: Date.now() + app.sessions.absoluteMs - 61_000 }
  await store.create(keyOf('some id'), '[1,1,{"id":"x"},""]', 60_000, owner)
  await store.remove(keyOf('some id'))
  expect(await listSessions(app, id)).toEqual([])
  expect((await store.list(owner.key)).sessions).toEqual([])
})

test('secrets that are short or missing stop the boot', async () => {
  for (const weak of [[], ['short'], [secrets[0]!, 'x']]) {
    const app = Fastify()
    apps.push(app)
    app.register(session, { store, secrets: weak, origin: 'http://localhost' })
    await expect(app.ready()).rejects.toMatchObject({ code: 'SESSION_SECRETS_WEAK' })
  }
})

test('a route in front of the plugin is told that there is no session', async () => {
  const app = Fastify()
  apps.push(app)
  app.get('/early', async (request) => currentUser(request))
  expect((await app.inject('/early')).json().message).toMatch(/register the session plugin/)
})
