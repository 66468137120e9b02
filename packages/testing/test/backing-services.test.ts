import { readFile, symlink } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { describe, test, vi } from 'vitest'
import { expectAnswer } from '../src/backing-service.ts'
import { findProgram, needs } from '../src/programs.ts'
import { isListening } from '../src/ports.ts'
import { openTemporaryFolder } from '../src/open-temporary-folder.ts'
import { findRedis, startRedis } from '../src/start-redis.ts'

const portOf = ({ url }: { url: string }): number => Number(new URL(url).port)

// Concurrent, because these tests mostly wait.
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
    // A Redis under the name of Valkey is enough: the test is about which program was started.
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

  test('a server that cannot start says why', async ({ expect }) => {
    await expect(startRedis({ args: ['--no-such-setting', '1'] })).rejects.toThrow(/Bad directive/)
  })
})
