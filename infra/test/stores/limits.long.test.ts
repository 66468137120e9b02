import { parseEnv } from '@repo/config'
import { limits, migrateLimits, type Limit, type LimitsOptions } from '@repo/limits'
import { createService, serviceEnv, type Service } from '@repo/service'
import { openSessionStore } from '@repo/session'
import { migrateSessions } from '@repo/session/migrate'
import { startPostgres, startRedis, type BackingService } from '@repo/testing'
import { needs } from '@repo/testing/programs'
// keep: memcached
import { startMemcached } from '@repo/testing/servers/start-memcached'
// /keep
import { startRedisCluster } from '@repo/testing/servers/start-redis-cluster'
import { startRedisSentinel } from '@repo/testing/servers/start-redis-sentinel'
import { Type } from 'typebox'
import { expect, test } from 'vitest'

// Packages import no other package, so limits of a service are tested here, on every session store.

const alone = [
  { name: 'Redis', start: startRedis, program: 'redis' },
  // keep: memcached
  { name: 'Memcached', start: startMemcached, program: 'memcached' },
  // /keep
  { name: 'Postgres', start: startReleased, program: undefined },
] as const
const stores = [
  ...alone,
  { name: 'Redis Cluster', start: startRedisCluster, program: 'redis' },
  { name: 'Redis Sentinel', start: startRedisSentinel, program: 'redis' },
] as const

const env = parseEnv(Type.Object(serviceEnv), {
  NODE_ENV: 'test',
  PORT: '0',
  LOG_LEVEL: 'silent',
  PUBLIC_ORIGIN: 'http://localhost',
})

const limit: Limit = { max: 20, per: 'network', windowMs: 3000 }

/** A Postgres with the tables that the release creates for sessions and limits. */
async function startReleased(): Promise<BackingService> {
  const server = await startPostgres()
  await migrateSessions(server.url)
  await using store = await openSessionStore(server.url)
  if ('postgres' in store.connection) await migrateLimits(store.connection.postgres)
  return server
}

/** A service with limits. Like each process, it has a connection of its own to the store. */
async function openProcess(
  url: string,
  opened: AsyncDisposableStack,
  options: Partial<LimitsOptions> = {},
): Promise<Service> {
  const sessions = opened.use(await openSessionStore(url))
  const app = createService({ name: 'limited', env })
  opened.defer(() => app.close())
  await app.register(limits, { store: sessions.connection, ...options })
  app.get('/items', { config: { access: 'public', limit } }, async () => 'read')
  app.get('/dear', { config: { access: 'public', limit: { ...limit, whenAway: 'refuse' } } }, async () => '')
  return app
}

for (const { name, start, program } of stores) {
  const claim =
    'two processes together allow what one may, whoever asks at once, and allow it again after the window'
  test(`on ${name} ${claim}`, needs(program), async () => {
    await using opened = new AsyncDisposableStack()
    const server = opened.use((await start())!)
    // Long enough to connect and count on a busy machine.
    const patient = { deadlineMs: 20_000 }
    const apps = await Promise.all([1, 2].map(() => openProcess(server.url, opened, patient)))
    const ask = (n: number) => apps[n % 2]!.inject('/items')
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => ask(n)))
    const allowed = answers.filter(({ statusCode }) => statusCode === 200)
    const refused = answers.filter(({ statusCode }) => statusCode === 429)
    expect(allowed).toHaveLength(20)
    expect(refused).toHaveLength(40)
    expect(
      allowed.map(({ headers }) => Number(headers['ratelimit-remaining'])).sort((a, b) => a - b),
    ).toEqual(Array.from({ length: 20 }, (_, n) => n))
    expect(refused[0]!.json()).toMatchObject({ code: 'LIMIT_REACHED', status: 429 })
    expect(Number(refused[0]!.headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(refused[0]!.headers['retry-after'])).toBeLessThanOrEqual(3)

    await expect
      .poll(async () => (await ask(0)).headers['ratelimit-remaining'], { timeout: 10_000 })
      .toBe('19')
  })
}

for (const { name, start, program } of alone) {
  test(
    `a ${name} that does not answer delays no request for longer than the deadline`,
    needs(program),
    async () => {
      await using opened = new AsyncDisposableStack()
      const server = opened.use((await start())!)
      const app = await openProcess(server.url, opened)
      await app.inject('/items')

      await server.freeze()
      const begunAt = performance.now()
      const answers = await Promise.all(['/items', '/dear'].map((path) => app.inject(path)))
      const tookMs = performance.now() - begunAt
      await server.thaw()

      expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 503])
      expect(answers[1]!.json()).toMatchObject({ code: 'LIMIT_STORE_UNAVAILABLE' })
      expect(answers[1]!.headers['retry-after']).toBe('1')
      expect(tookMs).toBeLessThan(1500)
      await expect.poll(async () => (await app.inject('/dear')).statusCode, { timeout: 10_000 }).toBe(200)
    },
  )
}

test('limits of one scope count nothing in the scope beside it: its routes stop the boot', async () => {
  await using opened = new AsyncDisposableStack()
  const sessions = opened.use(await openSessionStore(opened.use(await startPostgres()).url))
  const app = createService({ name: 'limited', env })
  await app.register(async (scope) => {
    await scope.register(limits, { store: sessions.connection })
    scope.get('/counted', { config: { access: 'public', limit } }, async () => 'read')
  })
  await expect(
    app.register(async (scope) => {
      scope.get('/beside', { config: { access: 'public', limit } }, async () => 'read')
    }),
  ).rejects.toMatchObject({ code: 'ROUTE_LIMIT_UNCOUNTED' })
  await app.close()
})
