import { readFile, symlink } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describe, test, vi } from 'vitest'
import { expectAnswer } from '../src/expect-answer.ts'
import { findProgram } from '../src/find-program.ts'
import { isListening } from '../src/is-listening.ts'
import { needs } from '../src/needs.ts'
import { openTemporaryFolder } from '../src/open-temporary-folder.ts'
import { pollUntil } from '../src/poll-until.ts'
import { startMemcached } from '../src/start-memcached.ts'
import { findRedis, startRedis } from '../src/start-redis.ts'
import { startRedisCluster } from '../src/start-redis-cluster.ts'
import { startRedisSentinel } from '../src/start-redis-sentinel.ts'

const portOf = ({ url }: { url: string }): number => Number(new URL(url).port)

// They wait more than they work, so they wait together.
describe.concurrent('Redis', needs('redis'), () => {
  test('a killed one is back on its port with every write it had answered', async ({ expect }) => {
    const redis = (await startRedis())!
    await expectAnswer(portOf(redis), 'SET kept yes', /^\+OK/)
    await redis.kill()
    expect(await isListening(redis.url)).toBe(false)
    await redis.restart()
    await expectAnswer(portOf(redis), 'GET kept', /yes/)
    await redis[Symbol.asyncDispose]()
    expect(await isListening(redis.url)).toBe(false)
  })

  test('a frozen one keeps its port and answers nothing until it is thawed', async ({ expect }) => {
    await using redis = (await startRedis())!
    await redis.freeze()
    expect(await isListening(redis.url)).toBe(true)
    await expect(expectAnswer(portOf(redis), 'PING', /^\+PONG/)).rejects.toThrow(
      'not answered within 1000 ms',
    )
    await redis.thaw()
    await expectAnswer(portOf(redis), 'PING', /^\+PONG/)
  })

  test('Valkey is Valkey, also where both are installed', async ({ expect }) => {
    // A Redis by another name does where there is no Valkey: which program was started is what counts.
    await using folder = await openTemporaryFolder('valkey')
    const stand = join(folder.path, 'valkey-server')
    if (!findProgram('valkey-server')) await symlink(findRedis()!, stand)
    vi.stubEnv('PATH', `${process.env.PATH}${delimiter}${folder.path}`)
    await using valkey = (await startRedis({ program: 'valkey-server' }))!
    expect(await readFile(`/proc/${valkey.pid}/cmdline`, 'utf8')).toMatch(/valkey-server/)
    vi.unstubAllEnvs()
  })

  test('one with a password refuses who does not know it, and no command line shows it', async ({
    expect,
  }) => {
    await using redis = (await startRedis({ password: 'a-word-of-its-own' }))!
    expect(redis.url).toContain(':a-word-of-its-own@')
    await expect(expectAnswer(portOf(redis), 'PING', /^\+PONG/)).rejects.toThrow('NOAUTH')
    expect(await readFile(`/proc/${redis.pid}/cmdline`, 'utf8')).not.toContain('a-word-of-its-own')
  })

  test('one that cannot start says why', async ({ expect }) => {
    await expect(startRedis({ args: ['--no-such-setting', '1'] })).rejects.toThrow(/Bad directive/)
  })

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

test('a killed memcached is back on its port, and empty', needs('memcached'), async () => {
  await using memcached = (await startMemcached())!
  await expectAnswer(portOf(memcached), 'set gone 0 0 3\r\nyes', /^STORED/)
  await memcached.kill()
  await memcached.restart()
  await expectAnswer(portOf(memcached), 'get gone', /^END/)
})
