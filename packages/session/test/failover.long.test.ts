import { needs } from '@repo/testing/programs'
import { startRedisCluster } from '@repo/testing/servers/start-redis-cluster'
import { startRedisSentinel } from '@repo/testing/servers/start-redis-sentinel'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { openRedisUnderTest, type BackingServer, type Stage } from './behaviours/index.ts'
import { signedIn, valuesOf, write } from './behaviours/play.ts'
import { until, type Visitor } from './behaviours/stage.ts'
import { openStage } from './behaviours/open-stage.ts'

const recoveryMs = { thaw: 0, restart: 0 }
const resources = new AsyncDisposableStack()
const sentinel = await startRedisSentinel()
const cluster = await startRedisCluster({ withReplicas: true })
if (sentinel) resources.use(sentinel)
if (cluster) resources.use(cluster)
afterAll(() => resources.disposeAsync())

describe('a failover behind Redis Sentinel', needs('redis'), () => {
  // Writes that the old master acknowledges after the promotion of the new one are lost. No client can know.
  test(
    'in good order: nobody is signed out, and what was stored before and after it is there',
    { timeout: 60_000 },
    async () => {
      const stage = await openStageOn(sentinel!.url, sentinel!.servers)
      const visitor = await signedIn(stage.a, { id: 'ada' })
      await write(visitor, stage.a, ['before', 1])
      await untilReplicated(await sentinel!.master())
      const end = new AbortController()
      const failover = sentinel!.failover().finally(() => end.abort())
      while (!end.signal.aborted) await isAnswered(visitor, stage, ['before'])
      await failover
      await until('what one process writes the other one reads', () => isShared(visitor, stage), 30_000)
      await untilAnswered(visitor, stage, ['before', 'after'])
    },
  )

  test(
    'of a killed and of a frozen master: 503 until the new one is named, then all is there',
    { timeout: 180_000 },
    async () => {
      const stage = await openStageOn(sentinel!.url, sentinel!.servers)
      const visitor = await signedIn(stage.a, { id: 'ada' })
      for (const fault of ['kill', 'freeze'] as const) {
        const old = await sentinel!.master()
        await write(visitor, stage.a, [fault, 1])
        await untilReplicated(old)
        await old[fault]()
        await untilAnswered(visitor, stage, [fault])
        if (fault === 'kill') await old.restart()
        else await old.thaw()
        await untilReplicated(await sentinel!.master())
      }
    },
  )
})

describe('a failover in Redis Cluster', needs('redis'), () => {
  test(
    'a killed master is replaced by its replica, and the sessions it held are there',
    { timeout: 60_000 },
    async () => {
      const stage = await openStageOn(cluster!.url, [...cluster!.masters, ...cluster!.replicas])
      const visitors = await Promise.all(
        Array.from({ length: 12 }, (_, i) => signedIn(stage.a, { id: `person-${i}` })),
      )
      for (const master of cluster!.masters) await untilReplicated(master)
      await cluster!.masters[0]!.kill()
      await until(
        'everybody is answered again',
        async () => {
          const answers = await Promise.all(
            visitors.map((visitor, i) => visitor.copy().ask(i % 2 ? stage.a : stage.b, 'GET', '/who')),
          )
          for (const [i, { status, json }] of answers.entries()) {
            expect(status === 503 || (status === 200 && json.user === `person-${i}`)).toBe(true)
          }
          return answers.every(({ status }) => status === 200)
        },
        20_000,
      )
    },
  )
})

async function openStageOn(url: string, servers: BackingServer[]): Promise<Stage> {
  const name = url.split(':')[0]!
  const store = resources.use(openRedisUnderTest({ name, url, servers, cannot: {}, recoveryMs }))
  return resources.use(await openStage(store))
}

/** Whether both processes answer. Else they answer 503 within 2 s, and never that the user or a value is missing. */
async function isAnswered(visitor: Visitor, { a, b }: Stage, keys: string[]): Promise<boolean> {
  const questions = [a, b].flatMap((server) => ['/who', '/values'].map((path) => ({ server, path })))
  const answers = await Promise.all(
    questions.map(({ server, path }) => visitor.copy().ask(server, 'GET', path)),
  )
  for (const { status, json, tookMs } of answers) {
    expect(tookMs).toBeLessThan(2000)
    if (status === 503) continue
    expect(status).toBe(200)
    if (json.values) expect(Object.keys(json.values)).toEqual(expect.arrayContaining(keys))
    else expect(json.user).toBe('ada')
  }
  return answers.every(({ status }) => status === 200)
}

async function untilAnswered(visitor: Visitor, stage: Stage, keys: string[]): Promise<void> {
  await until('both processes have found the new master', () => isAnswered(visitor, stage, keys), 30_000)
}

async function isShared(visitor: Visitor, { a, b }: Stage): Promise<boolean> {
  const now = performance.now()
  const { status } = await write(visitor.copy(), a, ['after', now])
  return status === 200 && (await valuesOf(visitor.copy(), b))?.['after'] === now
}

/** Waits until a replica has all writes of the master. */
async function untilReplicated(master: { url: string }): Promise<void> {
  await using client = Object.assign(new Redis(master.url, { retryStrategy: () => 200 }), {
    async [Symbol.asyncDispose]() {
      client.disconnect()
    },
  })
  client.on('error', () => {})
  await until('the replica follows', async () => (await client.wait(1, 1000)) === 1, 40_000)
}
