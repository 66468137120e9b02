import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { needs } from '@repo/testing/programs'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { openSessionStore, session } from '../src/index.ts'
import { migrateSessions } from '../src/stores/postgres.ts'

const run = promisify(execFile)
const resources = new AsyncDisposableStack()
const redis = await startRedis()
if (redis) resources.use(redis)
afterAll(() => resources.disposeAsync())

test('an unknown scheme is an error that names those there are', async () => {
  for (const url of ['mysql://localhost', 'memory:', '', 'not a url', 'constructor://x']) {
    await expect(openSessionStore(url)).rejects.toMatchObject({
      code: 'SESSION_STORE_UNKNOWN',
      message: expect.stringMatching(/redis, rediss, redis\+cluster, .*postgres/),
    })
  }
})

test('the library of a store that is not used is never loaded', async () => {
  const libraries = {
    'redis://127.0.0.1:1': 'ioredis',
    'postgres://127.0.0.1:1/x': 'pg',
    // keep: memcached
    'memcached://127.0.0.1:1': undefined,
    // /keep
  }
  for (const [url, own] of Object.entries(libraries)) {
    const script = `
      import { Module } from 'node:module'
      import { openSessionStore } from './src/index.ts'
      await using store = await openSessionStore('${url}')
      const files = Object.keys(Module._cache)
      console.log(['ioredis', 'pg'].filter((name) => files.some((file) => file.includes('/node_modules/' + name + '/'))).join())`
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    })
    expect(stdout.trim()).toBe(own ?? '')
  }
})

describe('with Redis', needs('redis'), () => {
  test('a Redis older than 6.2 is an error at boot', async () => {
    await using old = await pretend(redis!.url, /redis_version:[\d.]+/g, 'redis_version:6.0.16')
    await expect(openSessionStore(old.url)).rejects.toMatchObject({
      code: 'SESSION_STORE_UNSUITABLE',
      message: 'The session store is Redis 6.0, but 6.2 or newer is needed.',
    })
  })

  test('a Redis that comes up too old after the boot never passes the check', async () => {
    await using old = await pretend(redis!.url, /redis_version:[\d.]+/g, 'redis_version:6.0.16', {
      isAway: true,
    })
    await using store = await openSessionStore(old.url)
    await expect(store.check()).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
    old.comeBack()
    await expect
      .poll(() => store.check().catch(({ code }) => code), { timeout: 5000 })
      .toBe('SESSION_STORE_UNSUITABLE')
  })

  test('a Redis that still reads its data back passes the check when it takes sessions, and not before', async () => {
    await using server = (await startRedis())!
    const filler = new Redis(server.url)
    // About 300 ms of loading.
    for (let batch = 0; batch < 40; batch += 1) {
      const commands = Array.from({ length: 20_000 }, (_, n) => ['set', `${batch}.${n}`, 'x'.repeat(50)])
      await filler.pipeline(commands).exec()
    }
    filler.disconnect()
    await server.kill()
    await using store = await openSessionStore(server.url)
    const restarted = server.restart()
    await expect
      .poll(
        () =>
          store.check().then(
            () => 'passed',
            () => 'failed',
          ),
        { timeout: 20_000, interval: 5 },
      )
      .toBe('passed')
    expect(await store.create('key', 'record', 60_000)).toEqual({ listed: 0 })
    await restarted
  })

  test('a database and a login in the URL are used', async () => {
    await using admin = await openSessionStore(redis!.url)
    await using other = await openSessionStore(`${redis!.url}/3`)
    await admin.create('key', 'record', 60_000)
    expect(await other.load('key', 60_000)).toBeNull()
    await expect(
      openSessionStore(redis!.url.replace('//', '//ada:wrong%20word@')).then((store) => store.check()),
    ).rejects.toMatchObject({
      code: 'SESSION_STORE_UNAVAILABLE',
    })
  })

  test('the service gets the very connection as app.redis, though Redis is away, and closing waits for nobody', async () => {
    await using away = await openSessionStore('redis://127.0.0.1:1')
    await using store = await openSessionStore(redis!.url)
    for (const [one, isThere] of [
      [store, true],
      [away, false],
    ] as const) {
      const app = Fastify()
      await app.register(session, { store: one, secrets: ['x'.repeat(32)], origin: 'http://localhost' })
      await app.ready()
      const pong = await app.redis.ping().catch(() => 'nobody')
      expect(pong).toBe(isThere ? 'PONG' : 'nobody')
      await app.close()
    }
    await store.check()
  })

  test('a connection that was ended is opened again, whoever ended it', async () => {
    await using store = await openSessionStore(redis!.url)
    await using app = Fastify()
    await app.register(session, { store, secrets: ['x'.repeat(32)], origin: 'http://localhost' })
    await app.ready()
    app.redis.disconnect()
    await once(app.redis, 'end')
    await expect.poll(() => store.load('another', 1000), { timeout: 5000 }).toBeNull()
  })
})

test('a Postgres that freezes is silent also to who has no connection yet, so the breaker opens', async () => {
  await using postgres = await startPostgres()
  await migrateSessions(postgres.url)
  await using store = await openSessionStore(postgres.url, { probeMs: 10_000 })
  await store.check()
  await postgres.freeze()
  await Promise.allSettled(Array.from({ length: 10 }, () => store.load('key', 1000)))
  await expect(store.load('key', 1000)).rejects.toMatchObject({ cause: 'no answer within 500 ms' })
  await expect(store.load('key', 1000)).rejects.toMatchObject({ cause: 'it has been silent' })
})

describe('an address of IPv6 is one in every URL', () => {
  test('of Redis', needs('redis'), async () => {
    await using server = (await startRedis({ args: ['--bind', '127.0.0.1', '::1'] }))!
    const { port } = new URL(server.url)
    for (const url of [`redis://[::1]:${port}`, `redis://[::1]:${port}/2`]) {
      await using store = await openSessionStore(url)
      await store.check()
    }
  })

  test('of Postgres', async () => {
    await using postgres = await startPostgres()
    await migrateSessions(postgres.url)
    await using _ = await forward('::1', new URL(postgres.url))
    const url = Object.assign(new URL(postgres.url), { hostname: '[::1]' })
    await using store = await openSessionStore(url.href)
    await store.check()
  })
})

/** A proxy of a real Redis that changes its `INFO`. */
async function pretend(
  url: string,
  truth: RegExp,
  claim: string,
  { isAway = false } = {},
): Promise<{ url: string; comeBack(): void } & AsyncDisposable> {
  const target = new URL(url)
  const sockets = new Set<Socket>()
  let isBack = !isAway
  const proxy = createServer((client) => {
    if (!isBack) return client.destroy()
    const server = connect(Number(target.port), target.hostname)
    for (const socket of [client, server]) {
      sockets.add(socket.on('error', () => {}))
      socket.on('close', () => {
        client.destroy()
        server.destroy()
      })
    }
    client.pipe(server)
    server.on('data', (chunk: Buffer) => {
      // In every answer of the chunk. The length stays the same, because Redis announces it.
      client.write(
        chunk.toString('latin1').replaceAll(truth, (was) => claim.padEnd(was.length, '0')),
        'latin1',
      )
    })
    return undefined
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    comeBack: () => (isBack = true),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}

/** A server on loopback that calls `accept` with every connection. */
async function listen(
  accept: (socket: Socket) => void,
  host = '127.0.0.1',
  port = 0,
): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    accept(socket)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** Makes the port of a server reachable at another address of this machine. */
async function forward(host: string, { hostname, port }: URL): Promise<AsyncDisposable> {
  return await listen(
    (client) => {
      const server = connect(Number(port), hostname)
      for (const socket of [client, server]) socket.on('error', () => {}).on('close', () => server.destroy())
      client.pipe(server).pipe(client)
    },
    host,
    Number(port),
  )
}
