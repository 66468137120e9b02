import { once } from 'node:events'
import { Redis } from 'ioredis'
import { StoreUnsuitable } from '../session-error.ts'
import type { SessionStore } from '../store.ts'

// KEYS: the record. ARGV: its time to live, the name and JSON of the expected line (no name: none), then name and JSON
// of each line to put. A JSON of '' means: no such line.
const PATCH = `
  local record = redis.call('GET', KEYS[1])
  if not record then return 0 end

  local function find(name)
    local from = string.find(record, '\\n' .. name, 1, true)
    if from then return from, (string.find(record, '\\n', from + 1, true) or #record + 1) - 1 end
  end

  if ARGV[2] ~= '' then
    local from, to = find(ARGV[2])
    local present = from and string.sub(record, from + 1 + #ARGV[2], to) or ''
    if present ~= ARGV[3] then return record end
  end

  for i = 4, #ARGV, 2 do
    local from, to = find(ARGV[i])
    if from then record = string.sub(record, 1, from - 1) .. string.sub(record, to + 1) end
    if ARGV[i + 1] ~= '' then record = record .. '\\n' .. ARGV[i] .. ARGV[i + 1] end
  end
  redis.call('SET', KEYS[1], record, 'PX', ARGV[1])
  return 1`

// A person's list lives as long as its longest entry, and forgets those whose time has passed.
const ENLIST = `
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])`

interface Client extends Redis {
  patchSession(key: string, ...args: (string | number)[]): Promise<0 | 1 | string>
  enlistSession(key: string, now: number, until: number, member: string): Promise<void>
}

const recordKey = (key: string): string => `session:${key}`
const listKey = (ownerKey: string): string => `sessions-of:${ownerKey}`

/** Sessions in Redis 6.2 or newer, or Valkey. Resolves once the first connection is made or has failed. */
export async function openStore(url: URL): Promise<SessionStore> {
  const client = openClient(url)
  await Promise.race([once(client, 'ready'), once(client, 'close')])
  let isSuitable = false

  return {
    async load(key, ttlMs) {
      try {
        return await client.getex(recordKey(key), 'PX', ttlMs)
      } catch (error) {
        // A replica in the middle of a failover can still say who it is.
        if ((error as Error).message.startsWith('READONLY')) return client.get(recordKey(key))
        throw error
      }
    },

    async create(key, record, ttlMs, owner) {
      if (owner) await client.enlistSession(listKey(owner.key), Date.now(), owner.until, key)
      return (await client.set(recordKey(key), record, 'PX', ttlMs, 'NX')) === 'OK'
    },

    async patch(key, { lines, expect = ['', ''] }, ttlMs) {
      const result = await client.patchSession(recordKey(key), ttlMs, ...expect, ...lines.flat())
      if (result === 0) return 'gone'
      return result === 1 ? 'done' : { conflict: result }
    },

    async remove(key, ownerKey) {
      const record = await client.getdel(recordKey(key))
      if (ownerKey) await client.zrem(listKey(ownerKey), key)
      return record
    },

    async list(ownerKey) {
      const entries = await client.zrange(listKey(ownerKey), Date.now(), '+inf', 'BYSCORE', 'WITHSCORES')
      const keys = entries.filter((_, i) => i % 2 === 0)
      return Promise.all(
        keys.map(async (key, i) => {
          const [record, leftMs] = await Promise.all([
            client.get(recordKey(key)),
            client.pttl(recordKey(key)),
          ])
          return { key, record, leftMs, until: Number(entries[2 * i + 1]) }
        }),
      )
    },

    async check() {
      if (isSuitable) await client.ping()
      else requireVersion(String(await client.info('server')))
      isSuitable = true
    },

    async [Symbol.asyncDispose]() {
      // Not quit(): a frozen Redis never says goodbye.
      client.disconnect()
    },
  }
}

// No queue and no second try inside the client: a request waits for its own command and for nothing else.
function openClient(url: URL): Client {
  const client = new Redis(url.href, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 1000,
    socketTimeout: 2000,
    retryStrategy: () => 100,
  })
  // Without a listener ioredis prints every failed attempt.
  client.on('error', () => {})
  client.defineCommand('patchSession', { numberOfKeys: 1, lua: PATCH })
  client.defineCommand('enlistSession', { numberOfKeys: 1, lua: ENLIST })
  return client as Client
}

/** @throws SESSION_STORE_UNSUITABLE: GETEX and GETDEL came with Redis 6.2. */
function requireVersion(info: string): void {
  const version = /^redis_version:(\d+)\.(\d+)/m.exec(info)
  const [major = 0, minor = 0] = version?.slice(1).map(Number) ?? []
  if (major < 6 || (major === 6 && minor < 2)) {
    throw new StoreUnsuitable(`Redis ${major}.${minor}, and 6.2 or newer is needed`)
  }
}
