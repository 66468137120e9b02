import { needs } from '@repo/testing/programs'
import { startRedis } from '@repo/testing/start-redis'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from './behaviours/stage.ts'
import { listSessions, openSessionStore, session, signIn, signOut } from '../src/index.ts'

const resources = new AsyncDisposableStack()
const redis = await startRedis()
if (redis) resources.use(redis)
afterAll(() => resources.disposeAsync())

describe('what a request costs, in commands to Redis', needs('redis'), () => {
  let app: FastifyInstance
  let admin: Redis
  let cookie = ''
  const commands: string[] = []

  beforeAll(async () => {
    admin = new Redis(redis!.url)
    const monitor = await admin.monitor()
    monitor.on('monitor', (_time: string, [name]: string[], source: string) => {
      if (source !== 'lua') commands.push(name!.toLowerCase())
    })
    const store = resources.use(await openSessionStore(redis!.url))
    app = Fastify()
    await app.register(session, { store, secrets: ['x'.repeat(32)], origin: 'http://localhost' })
    const config = { access: 'public' } as const
    app.get('/read', { config }, async ({ session }) => ({ ...session }))
    app.post(
      '/write',
      { config },
      async ({ session }) => void session.set('user agent' as 'user', `${Math.random()}` as never),
    )
    app.post(
      '/update',
      { config },
      async ({ session }) => void (await session.update('n' as 'user', (() => Math.random()) as never)),
    )
    app.post('/sign-in', { config }, async (request) => signIn(request, { id: 'ada' }))
    app.post('/sign-out', { config }, async (request) => signOut(request))
    app.get('/sessions', { config }, async (request) => listSessions(request, 'ada'))
    // The first use loads the scripts into Redis.
    for (const path of ['sign-in', 'write', 'update']) await cost('POST', `/${path}`)
    await cost('GET', '/sessions')
    await cost('POST', '/sign-out')
    resources.defer(async () => {
      await app.close()
      monitor.disconnect()
      admin.disconnect()
    })
  })

  async function cost(method: 'GET' | 'POST', url: string): Promise<string[]> {
    commands.length = 0
    const answer = await app.inject({ method, url, headers: cookie ? { cookie } : {} })
    expect(answer.statusCode).toBe(200)
    const [line] = [answer.headers['set-cookie'] ?? []].flat()
    if (line) cookie = line.includes('Max-Age=0') ? '' : line.split(';')[0]!
    await admin.echo('the end')
    await until('all of it was seen', () => commands.at(-1) === 'echo')
    return commands.slice(0, -1)
  }

  test('a visit without a session: none; a first write: one', async () => {
    expect(await cost('GET', '/read')).toEqual([])
    expect(await cost('POST', '/write')).toEqual(['set'])
  })

  test('a sign-in ends the old id, is written on the list, creates the new session, and looks at the list', async () => {
    expect(await cost('POST', '/sign-in')).toEqual(['getex', 'getdel', 'evalsha', 'set', 'evalsha'])
  })

  test('a signed-in read: one; a write or an update: two', async () => {
    expect(await cost('GET', '/read')).toEqual(['getex'])
    expect(await cost('POST', '/write')).toEqual(['getex', 'evalsha'])
    expect(await cost('POST', '/update')).toEqual(['getex', 'evalsha'])
  })

  test("a person's list: one, and one for each session", async () => {
    expect(await cost('GET', '/sessions')).toEqual(['getex', 'evalsha', 'evalsha'])
  })

  test('a sign-out removes the session and its name on the list', async () => {
    expect(await cost('POST', '/sign-out')).toEqual(['getex', 'getdel', 'zrem'])
  })
})
