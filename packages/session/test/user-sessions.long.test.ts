import { randomUUID } from 'node:crypto'
import { needs } from '@repo/testing/programs'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildRecord } from '../src/record.ts'
import { keyOf } from '../src/session-cookie.ts'
import { endAllSessions, endSession, listSessions, openSessionStore, session, signIn } from '../src/index.ts'
import type { SessionStore } from '../src/index.ts'
import type { ListedRecord } from '../src/store.ts'
import { programOf, stores } from './behaviours/open-stores.ts'

const DAY_MS = 24 * 60 * 60_000
const MOST = 20
/** More than the guard allows in flight, and more than a page of any driver. */
const MANY = 1200

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

const NAMES = [
  'Redis',
  'Redis Cluster',
  // keep: memcached
  'memcached',
  // /keep
  'Postgres',
]

describe.for(NAMES)('lists of sessions on %s', async (name) => {
  const underTest = await stores[name]!(resources)
  let store: SessionStore
  let app: FastifyInstance

  beforeAll(async () => {
    if (!underTest) return
    store = resources.use(await openSessionStore(underTest.url, { deadlineMs: 5000 }))
    app = await openApp(store, MOST)
    resources.defer(() => app.close())
  })

  test(
    'a sign-in beyond the cap ends the oldest, and the list shows the others',
    needs(programOf[name]),
    async () => {
      const browsers = []
      for (let i = 0; i < MOST + 3; i += 1) browsers.push(await signInTo(app, 'ada'))
      const alive = await Promise.all(browsers.map((cookie) => isKnown(app, cookie)))
      expect(alive).toEqual(browsers.map((_, i) => i >= 3))
      expect(await listSessions(app, 'ada')).toHaveLength(MOST)
    },
  )

  test('sign-ins at the same moment leave as many as the cap allows', needs(programOf[name]), async () => {
    const answers = await Promise.all(Array.from({ length: 2 * MOST }, () => signInAs(app, 'bob')))
    // Some sessions ended before their sign-in was answered.
    expect([200, 401]).toEqual(expect.arrayContaining(answers.map(({ statusCode }) => statusCode)))
    const alive = await Promise.all(answers.map((answer) => isKnown(app, cookieOf(answer))))
    expect(alive.filter(Boolean)).toHaveLength(MOST)
    expect(await listSessions(app, 'bob')).toHaveLength(MOST)
  })

  test('sessions that have ended by themselves count for nothing', needs(programOf[name]), async () => {
    const browser = await signInTo(app, 'cleo')
    const person = keyOf('cleo')
    // Their sign-ins are two minutes old, and their records have ended.
    const until = Date.now() + DAY_MS / 2 - 120_000
    await hoard(store, person, { count: 2 * MOST, until })
    for (const { key } of await readAll(store, person)) if (key.startsWith('hoarded')) await store.remove(key)
    const next = await signInTo(app, 'cleo')
    expect(await isKnown(app, browser)).toBe(true)
    expect(await isKnown(app, next)).toBe(true)
    expect(await readAll(store, person)).toHaveLength(2)
  })

  test(
    'a list that grew before there was a cap is shown as far as the cap allows, and the rest ends',
    needs(programOf[name]),
    async () => {
      const person = keyOf('dan')
      await hoard(store, person, { count: MANY, until: Date.now() + DAY_MS / 3 })
      const thief = await signInTo(app, 'dan')
      await hoard(store, person, { count: MANY, until: Date.now() + DAY_MS })
      const shown = await listSessions(app, 'dan')
      expect(shown).toHaveLength(MOST)
      expect((await readAll(store, person)).map(({ key }) => key).sort()).toEqual(
        shown.map(({ id }) => id).sort(),
      )
      expect(await isKnown(app, thief)).toBe(false)
      expect(await endSession(app, 'dan', shown[0]!.id)).toBe(true)
      expect(await endSession(app, 'dan', shown[0]!.id)).toBe(false)
    },
  )

  test('all others end, however many they are', needs(programOf[name]), async () => {
    const person = keyOf('eve')
    const owner = await signInTo(app, 'eve')
    await hoard(store, person, { count: MANY / 2 })
    const thief = await signInTo(await openApp(store, 10 * MANY), 'eve')
    await hoard(store, person, { count: MANY, until: Date.now() + DAY_MS })
    const answer = await app.inject({ method: 'DELETE', url: '/others', headers: { cookie: owner } })
    expect(answer.json()).toEqual({ ended: MANY / 2 + MANY + 1 })
    expect(await isKnown(app, thief)).toBe(false)
    expect(await isKnown(app, owner)).toBe(true)
    expect(await readAll(store, person)).toHaveLength(1)
  })

  test(
    'however sign-ins and the end of all sessions overlap, who is known is on the list',
    needs(programOf[name]),
    async () => {
      const answers = []
      for (let round = 0; round < 8; round += 1) {
        const signingIn = Array.from({ length: 6 }, () => signInAs(app, 'fay'))
        for (let turn = 0; turn < round; turn += 1) await new Promise((resolve) => setImmediate(resolve))
        await endAllSessions(app, 'fay')
        answers.push(...(await Promise.all(signingIn)))
      }
      const refused = answers.filter(({ statusCode }) => statusCode !== 200)
      expect(refused.every((answer) => answer.json().code === 'SESSION_GONE')).toBe(true)
      const alive = await Promise.all(answers.map((answer) => isKnown(app, cookieOf(answer))))
      expect(await listSessions(app, 'fay')).toHaveLength(alive.filter(Boolean).length)
    },
  )
})

async function openApp(store: SessionStore, maxPerUser: number): Promise<FastifyInstance> {
  const app = Fastify()
  const config = { access: 'public' } as const
  await app.register(session, { store, secrets: ['x'.repeat(32)], origin: 'http://localhost', maxPerUser })
  app.post('/sign-in', { config }, async (request) => {
    await signIn(request, request.body as { id: string })
    return {}
  })
  app.get('/me', { config: { access: 'user' } }, async () => ({}))
  app.delete('/others', { config: { access: 'user' } }, async (request) => ({
    ended: await endAllSessions(request, 'eve', { except: 'current' }),
  }))
  return app
}

async function signInTo(app: FastifyInstance, id: string): Promise<string> {
  const answer = await signInAs(app, id)
  expect(answer.statusCode).toBe(200)
  return cookieOf(answer)
}

function signInAs(app: FastifyInstance, id: string): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url: '/sign-in', payload: { id } })
}

function cookieOf({ headers }: LightMyRequestResponse): string {
  return String(headers['set-cookie']).split(';')[0]!
}

async function isKnown(app: FastifyInstance, cookie: string): Promise<boolean> {
  return (await app.inject({ url: '/me', headers: { cookie } })).statusCode === 200
}

/** Creates sessions on the list, as if the user had signed in `count` times. */
async function hoard(
  store: SessionStore,
  ownerKey: string,
  { count, until = Date.now() + DAY_MS / 2 }: { count: number; until?: number },
): Promise<void> {
  const record = buildRecord({ createdAt: Date.now(), user: { id: 'hoarder' }, userAgent: '', provedAt: 0 })
  let next = 0
  async function create(): Promise<void> {
    for (let n = next++; n < count; n = next++) {
      await store.create(`hoarded-${randomUUID()}`, record, DAY_MS, { key: ownerKey, until: until + n })
    }
  }
  // Only four at a time: in some stores a list is one value, for which writers compete.
  await Promise.all(Array.from({ length: 4 }, create))
}

async function readAll(store: SessionStore, ownerKey: string): Promise<ListedRecord[]> {
  const sessions: ListedRecord[] = []
  for (let page = await store.list(ownerKey); ; page = await store.list(ownerKey, page.next)) {
    sessions.push(...page.sessions)
    if (!page.next) return sessions
  }
}
