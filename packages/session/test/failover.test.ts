import { startRedisCluster } from '@repo/testing/start-redis-cluster'
import { startRedisSentinel } from '@repo/testing/start-redis-sentinel'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { openRedisUnderTest, type BackingServer, type Stage } from '../src/testing/index.ts'
import { signedIn, valuesOf, who, write } from '../src/testing/play.ts'
import { until, type Visitor } from '../src/testing/stage.ts'
import { openStage } from './open-stage.ts'

const recoveryMs = { thaw: 0, restart: 0 }
const resources = new AsyncDisposableStack()
const sentinel = await startRedisSentinel()
const cluster = await startRedisCluster({ withReplicas: true })
if (sentinel) resources.use(sentinel)
if (cluster) resources.use(cluster)
afterAll(() => resources.disposeAsync())

describe.skipIf(!sentinel)('a failover behind Redis Sentinel', () => {
  test(
    'in good order: nobody is signed out and no acknowledged write is lost',
    { timeout: 60_000 },
    async () => {
      const stage = await openStageOn(sentinel!.url, sentinel!.servers)
      const visitor = await signedIn(stage.a, { id: 'ada' })
      const stored = await writeOn(visitor, stage, () => sentinel!.failover())
      expect(await who(visitor, stage.b)).toBe('ada')
      expect(Object.keys(await valuesOf(visitor, stage.a))).toEqual(expect.arrayContaining(stored))
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
        await until(
          'both processes have found the new master',
          async () => {
            const answers = await Promise.all(
              [stage.a, stage.b].map((server) => visitor.copy().ask(server, 'GET', '/who')),
            )
            for (const { status, json, tookMs } of answers) {
              expect(status === 503 || (status === 200 && json.user === 'ada')).toBe(true)
              expect(tookMs).toBeLessThan(2000)
            }
            return answers.every(({ status }) => status === 200)
          },
          30_000,
        )
        expect(await valuesOf(visitor, stage.b)).toMatchObject({ [fault]: 1 })
        if (fault === 'kill') await old.restart()
        else await old.thaw()
        await untilReplicated(await sentinel!.master())
      }
    },
  )
})

describe.skipIf(!cluster)('a failover in Redis Cluster', () => {
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

/** Writes one key after the other while something happens, and returns those that were acknowledged. */
async function writeOn(visitor: Visitor, { a, b }: Stage, meanwhile: () => Promise<void>): Promise<string[]> {
  const acknowledged: string[] = []
  const end = new AbortController()
  const happening = meanwhile().finally(() => end.abort())
  for (let i = 0; !end.signal.aborted; i += 1) {
    const { status } = await write(visitor.copy(), i % 2 ? a : b, [`key${i}`, i])
    if (status === 200) acknowledged.push(`key${i}`)
  }
  await happening
  await until(
    'a write is possible again',
    async () => (await write(visitor.copy(), a, ['last', 1])).status === 200,
    30_000,
  )
  return [...acknowledged, 'last']
}

/** The replica of a master has all it has. */
async function untilReplicated(master: { url: string }): Promise<void> {
  await using client = Object.assign(new Redis(master.url, { retryStrategy: () => 200 }), {
    async [Symbol.asyncDispose]() {
      client.disconnect()
    },
  })
  client.on('error', () => {})
  await until('the replica follows', async () => (await client.wait(1, 1000)) === 1, 40_000)
}
