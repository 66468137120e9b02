import { expectAnswer } from '@repo/testing/backing-service'
import { needs } from '@repo/testing/programs'
import { startPostgres } from '@repo/testing/start-postgres'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'
import { startRedis } from '@repo/testing/start-redis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { request } from 'undici'

// The entry points of packages that an app may import. Each function that is not called has a reason.
const DOORS = [
  'config',
  'service',
  'session',
  'database',
  'database/migrate',
  // keep: idempotency
  'idempotency',
  // /keep
  // keep: queue
  'queue',
  // /keep
  // keep: mail
  'mail',
  // /keep
]
const NOT_CALLED: Record<string, string[]> = {
  'returns no promise': [
    'describeEnv',
    'loadEnv',
    'parseEnv',
    'createService',
    'networkOf',
    'endWith',
    'sendEvents',
    'hostCookieName',
    'problemResponses',
    'currentUser',
  ],
  'returns none either': [
    'databaseOf',
    'urlVariableOf',
    'directUrlVariableOf',
    // keep: queue
    'defineJob',
    'handle',
    'schedule',
    // /keep
    // keep: mail
    'defineMail',
    'openMailer',
    // /keep
  ],
  'is what the process is, and ends it when it cannot be': ['runService', 'runWorker'],
  'is registered': ['session'],
  // keep: idempotency
  'is registered, too': ['idempotency'],
  'is answered 500 by itself: packages/idempotency/test': ['answerOnce'],
  // /keep
}

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

describe('a forgotten await while the stores are away', needs('redis'), () => {
  let service: NodeProcess
  let cookie = ''
  let names: string[]

  beforeAll(async () => {
    const [redis, postgres] = [resources.use((await startRedis())!), resources.use(await startPostgres())]
    service = resources.use(
      await startProcess({
        name: 'forgetful.1',
        cwd: import.meta.dirname,
        entry: 'server.ts',
        env: {
          NODE_ENV: 'test',
          PUBLIC_ORIGIN: 'http://localhost',
          DRAIN_MS: '0',
          SESSION_SECRETS: 'x'.repeat(32),
          SESSION_STORE_URL: redis.url,
          DATABASE_URL: postgres.url,
        },
      }),
    )
    await service.ready
    cookie = String((await send('POST', '/sign-in')).headers['set-cookie']).split(';')[0]!
    names = (await send('GET', '/calls')).json as string[]
    // Reads succeed and writes fail, as on a master that has lost its replicas: requests still reach the handlers.
    await expectAnswer(Number(new URL(redis.url).port), 'CONFIG SET min-replicas-to-write 1', /^\+OK/)
    await postgres.stop()
  })

  async function send(method: 'GET' | 'POST', path: string) {
    const { statusCode, headers, body } = await request(service.url + path, { method, headers: { cookie } })
    const text = await body.text()
    return { statusCode, headers, json: (text ? JSON.parse(text) : undefined) as unknown }
  }

  test('is tried of every function that a package exports', async () => {
    const exported: string[] = []
    for (const door of DOORS) {
      const functions = Object.entries((await import(`@repo/${door}`)) as object)
        .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
        .map(([name]) => name)
      exported.push(...functions.map((name) => `@repo/${door} ${name}`))
    }
    const reasoned = Object.values(NOT_CALLED).flat()
    expect(
      exported
        .filter((name) => !names.includes(name))
        .map((name) => name.split(' ')[1])
        .sort(),
    ).toEqual(reasoned.toSorted())
  })

  const DECIDES = [
    'signOut',
    'endAllSessions',
    'session.save',
    'session.update',
    'session.destroy',
    'session.regenerate',
  ]

  test('is a 503 where it is about this session, is logged where not, and never ends the process', async () => {
    const answers: Record<string, number> = {}
    for (const name of names) {
      const { statusCode } = await send('POST', `/calls/${encodeURIComponent(name)}`)
      answers[name] = statusCode
    }
    const expected = names.map((name) => [
      name,
      [...DECIDES, 'signIn'].map((call) => `@repo/session ${call}`).includes(name) ? 503 : 200,
    ])
    expect(answers).toEqual(Object.fromEntries(expected))
    expect((await send('GET', '/livez')).statusCode).toBe(200)
    expect(service.isRunning).toBe(true)

    // What fails late is logged late, so wait for each. None of them is from the sessions of a request. Every call of these
    // packages needs Postgres, and one of them finds nothing to do there.
    const failing = names.filter((name) => /^@repo\/(database|queue)/.test(name)).length - 1
    const logged = (): string[] =>
      service
        .output()
        .split('\n')
        .filter((line) => line.includes('nobody awaited'))
    await expect.poll(() => logged().length, { timeout: 20_000 }).toBeGreaterThanOrEqual(failing)
    expect(service.isRunning).toBe(true)
  })
})
