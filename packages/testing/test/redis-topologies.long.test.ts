import { describe, test } from 'vitest'
import { expectAnswer } from '../src/backing-service.ts'
import { needs } from '../src/programs.ts'
import { pollUntil } from '../src/poll-until.ts'
import { startRedisCluster } from '../src/servers/start-redis-cluster.ts'
import { startRedisSentinel } from '../src/servers/start-redis-sentinel.ts'

const portOf = ({ url }: { url: string }): number => Number(new URL(url).port)

// Concurrent, because these tests mostly wait.
describe.concurrent('Redis of several servers', needs('redis'), () => {
  test('a cluster spreads its keys over three masters', async ({ expect }) => {
    await using cluster = (await startRedisCluster())!
    expect(cluster.url).toMatch(/^redis\+cluster:\/\/(127\.0\.0\.1:\d+,?){3}$/)
    // The slot of "foo" is 12182, in the last third: https://redis.io/docs/latest/commands/cluster-keyslot/
    const third = cluster.masters[2]!
    await expectAnswer(portOf(third), 'SET foo bar', /^\+OK/)
    await expect(expectAnswer(portOf(cluster.masters[0]!), 'GET foo', /bar/)).rejects.toThrow(`MOVED 12182`)
    await third.kill()
    await third.restart()
    await pollUntil('the third is back', async () =>
      Boolean(await expectAnswer(portOf(third), 'GET foo', /bar/)),
    )
  })

  test('a replica takes over from a cluster master that was killed', async () => {
    await using cluster = (await startRedisCluster({ withReplicas: true }))!
    await cluster.masters[2]!.kill()
    const heir = portOf(cluster.replicas[2]!)
    await pollUntil('the replica accepts writes', async () =>
      Boolean(await expectAnswer(heir, 'SET foo bar', /^\+OK/)),
    )
  })

  test('sentinels name the replica as master when the master is killed', async ({ expect }) => {
    await using sentinel = (await startRedisSentinel())!
    const [first, second] = sentinel.servers
    expect(await sentinel.master()).toBe(first)
    await first!.kill()
    await pollUntil('the second is master', async () => (await sentinel.master()) === second)
    const acceptsWrites = async (): Promise<boolean> =>
      Boolean(await expectAnswer(portOf(second!), 'SET a b', /^\+OK/))
    await pollUntil('it accepts writes', acceptsWrites)
  })

  test('sentinels swap master and replica when they are asked to', async ({ expect }) => {
    await using sentinel = (await startRedisSentinel())!
    await sentinel.failover()
    expect(await sentinel.master()).toBe(sentinel.servers[1])
    await expectAnswer(portOf(sentinel.servers[1]!), 'SET a b', /^\+OK/)
  })
})
