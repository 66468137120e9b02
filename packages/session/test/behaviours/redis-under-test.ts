import { Redis } from 'ioredis'
import type { StoreUnderTest } from './stage.ts'

/** A server that @repo/testing has started and a test may stop. */
export interface BackingServer {
  readonly url: string
  freeze(): Promise<void>
  thaw(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
}

export interface RedisUnderTestOptions extends Pick<
  StoreUnderTest,
  'name' | 'url' | 'cannot' | 'recoveryMs'
> {
  /** All servers with sessions. Replicas among them are ignored. */
  servers: BackingServer[]
  /** Frozen, killed and restarted with them. */
  watchers?: BackingServer[]
}

// Commands of a client for a request, without those to connect and those between servers.
const WORK =
  /^cmdstat_(get|getex|getdel|set|setex|psetex|del|expire|pexpire|ttl|pttl|exists|touch|mget|eval|evalsha|z\w+|h(get|set)\w*):calls=(\d+)/gm

/** Redis for tests: one server or several. */
export function openRedisUnderTest(options: RedisUnderTestOptions): StoreUnderTest & AsyncDisposable {
  const { name, url, cannot, recoveryMs, servers, watchers = [] } = options
  const clients = servers.map((server) => {
    const client = new Redis(server.url, { retryStrategy: () => 50, maxRetriesPerRequest: null })
    client.on('error', () => {})
    return client
  })

  async function masters(): Promise<Redis[]> {
    const roles = await Promise.all(clients.map(async (client) => (await client.role()) as unknown[]))
    return clients.filter((_, i) => roles[i]![0] === 'master')
  }

  async function ownerOf(key: string): Promise<Redis> {
    for (const client of await masters()) {
      const isHere = await client.exists(key).catch(() => 0)
      if (isHere) return client
    }
    throw new Error(`no ${key}`)
  }

  async function countAll(): Promise<number> {
    let calls = 0
    for (const client of await masters()) {
      for (const [, , , count] of (await client.info('commandstats')).matchAll(WORK)) calls += Number(count)
    }
    return calls
  }

  async function configure(name: string, value: string): Promise<AsyncDisposable> {
    const all = await masters()
    const before = await Promise.all(
      all.map(async (client) => ((await client.config('GET', name)) as string[])[1]!),
    )
    await Promise.all(all.map((client) => client.config('SET', name, value)))
    return {
      async [Symbol.asyncDispose]() {
        await Promise.all(all.map((client, i) => client.config('SET', name, before[i]!)))
      },
    }
  }

  const everyone = (what: 'freeze' | 'thaw' | 'kill' | 'restart') => async (): Promise<void> => {
    await Promise.all([...servers, ...watchers].map((server) => server[what]()))
  }

  return {
    name,
    url,
    cannot,
    recoveryMs,
    tickMs: 0,
    dump: async () => (await Promise.all((await masters()).map(dumpOne))).flat(),
    keyOf: (idHash) => `session:${idHash}`,
    purge: async (key) => void (await (await ownerOf(key)).del(key)),
    corrupt: async (key, value) => void (await (await ownerOf(key)).set(key, value, 'KEEPTTL')),
    async counted() {
      let before = await countAll()
      return {
        url,
        async countCommands() {
          const now = await countAll()
          const calls = now - before
          before = now
          return calls
        },
        async [Symbol.asyncDispose]() {},
      }
    },
    freeze: everyone('freeze'),
    thaw: everyone('thaw'),
    kill: everyone('kill'),
    restart: everyone('restart'),
    fillUp: () => configure('maxmemory', '1'),
    // A master without enough replicas refuses writes, which for a client is the same as a replica.
    makeReadOnly: () => configure('min-replicas-to-write', '5'),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.disconnect()
    },
  }
}

async function dumpOne(client: Redis): ReturnType<StoreUnderTest['dump']> {
  const entries: Awaited<ReturnType<StoreUnderTest['dump']>> = []
  for (const key of await client.keys('*')) {
    const isList = (await client.type(key)) === 'zset'
    const value = isList ? (await client.zrange(key, '0', '-1')).join('\n') : ((await client.get(key)) ?? '')
    const leftMs = await client.pttl(key)
    // -2: the key has just expired; -1: it has no expiry.
    if (leftMs !== -2) entries.push({ key, value, leftMs: leftMs === -1 ? Infinity : leftMs })
  }
  return entries
}
