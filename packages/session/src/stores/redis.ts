import fastifyRedis from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import { Cluster, Redis } from 'ioredis'
import { StoreUnsuitable } from '../session-error.ts'
import { parseRedisUrl } from '../store-url.ts'
import type { SessionStore } from '../store.ts'

// KEYS: the record. ARGV: its time to live, the name and JSON of the expected line (an empty name: none is expected), then
// name and JSON of each line to put. The JSON '' means that there is no such line.
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

// Adds a name to a user's list and removes expired names. The list expires with its last name.
const ENLIST = `
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
  redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])`

// The number of names on a list, or 0 when the given name is not on it. KEYS: the list. ARGV: the name.
const COUNT = `return redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) or 0`

// A page of a list: the given number of names, and the further names of the last one's millisecond. KEYS: the list.
// ARGV: the first score, and the number of names.
const LIST = `
  local last = redis.call('ZRANGE', KEYS[1], ARGV[1], '+inf', 'BYSCORE', 'LIMIT', ARGV[2] - 1, 1, 'WITHSCORES')[2]
  return redis.call('ZRANGE', KEYS[1], ARGV[1], last or '+inf', 'BYSCORE', 'WITHSCORES')`

// The first line of a record, which may be long, and its time to live.
const HEAD = `
  local record = redis.call('GET', KEYS[1])
  return record and { string.match(record, '^[^\\n]*'), redis.call('PTTL', KEYS[1]) }`

type Client = (Redis | Cluster) & {
  patchSession(key: string, ...args: (string | number)[]): Promise<0 | 1 | string>
  enlistSession(key: string, now: number, until: number, member: string): Promise<void>
  countSessions(key: string, member: string): Promise<number>
  listSessions(key: string, from: number | string, count: number): Promise<string[]>
  readSessionHead(key: string): Promise<[head: string, leftMs: number] | null>
}

// A replica, a master that has lost its replicas, and a server with a full disk can still read.
const REFUSES_WRITES = /^(READONLY|NOREPLICAS|MISCONF)/
const RETRY_MS = 100
/** In a Cluster each record needs a command of its own. */
const PAGE = 100

const recordKey = (key: string): string => `session:${key}`
const listKey = (ownerKey: string): string => `sessions-of:${ownerKey}`

/**
 * Sessions in Redis 6.2 or newer, or Valkey: a single server, a Cluster, or behind Sentinel. Resolves when the first
 * connection is made or has failed, or after a second.
 */
export async function openStore(url: string): Promise<SessionStore> {
  const client = openClient(url)
  let isSuitable = false
  let isClosed = false
  // If a failover message arrives while ioredis asks the sentinels for the master, ioredis ends its connection for good.
  client.on('end', () => isClosed || client.connect().catch(() => {}))
  await new Promise((resolve) => {
    client.once('ready', resolve).once('close', resolve)
    setTimeout(resolve, 1000)
  })

  /** Removes records. Returns the keys that had none. */
  async function endRecords(keys: readonly string[]): Promise<string[]> {
    const counts = await Promise.all(keys.map((key) => client.del(recordKey(key))))
    return keys.filter((_, i) => counts[i] === 0)
  }

  return {
    async load(key, ttlMs) {
      gatherWrites(client)
      try {
        return await client.getex(recordKey(key), 'PX', ttlMs)
      } catch (error) {
        if (REFUSES_WRITES.test((error as Error).message)) return client.get(recordKey(key))
        throw error
      }
    },

    async create(key, record, ttlMs, owner) {
      if (owner) await client.enlistSession(listKey(owner.key), Date.now(), owner.until, key)
      if ((await client.set(recordKey(key), record, 'PX', ttlMs, 'NX')) !== 'OK') return 'taken'
      if (!owner) return { listed: 0 }
      const listed = await client.countSessions(listKey(owner.key), key)
      if (listed > 0) return { listed }
      await client.del(recordKey(key))
      return 'gone'
    },

    async patch(key, { lines, expect = ['', ''] }, ttlMs) {
      const result = await client.patchSession(recordKey(key), ttlMs, ...expect, ...lines.flat())
      if (result === 0) return 'gone'
      return result === 1 ? 'done' : { conflict: result }
    },

    async remove(key, ownerKey) {
      const record = await client.getdel(recordKey(key))
      if (!ownerKey) return record
      await client.zrem(listKey(ownerKey), key)
      return record ?? client.getdel(recordKey(key))
    },

    async removeAll(keys, ownerKey) {
      const absent = await endRecords(keys)
      if (keys.length > 0) await client.zrem(listKey(ownerKey), ...keys)
      // Again for records that were created before their names were removed.
      return keys.length - (await endRecords(absent)).length
    },

    async list(ownerKey, next) {
      const from = next ? `(${next.until}` : Date.now()
      const entries = await client.listSessions(listKey(ownerKey), from, PAGE)
      const keys = entries.filter((_, i) => i % 2 === 0)
      const sessions = await Promise.all(
        keys.map(async (key, i) => {
          const [head, leftMs] = (await client.readSessionHead(recordKey(key))) ?? [null, 0]
          return { key, head, leftMs, until: Number(entries[2 * i + 1]) }
        }),
      )
      return { sessions, next: sessions.length < PAGE ? undefined : sessions.at(-1) }
    },

    async check() {
      // PING too: while Redis loads its data it answers INFO and not PING.
      await client.ping()
      if (!isSuitable) requireVersion(String(await client.info('server')))
      isSuitable = true
    },

    connection: { redis: client },

    async [Symbol.asyncDispose]() {
      isClosed = true
      // Not quit(): a frozen Redis would not answer it.
      client.disconnect()
    },
  }
}

function openClient(url: string): Client {
  const { kind, isTls, hosts, username, password, master, database } = parseRedisUrl(url)
  const connection = {
    ...(username && { username }),
    ...(password && { password }),
    ...(isTls && { tls: {} }),
    connectTimeout: 1000,
    // Closes the connection to a silent server. Without it, the client would not notice a failover.
    socketTimeout: 2000,
    // No retry inside the client: a request waits only for its own command.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // While Redis loads its data it says how long that takes, in whole seconds. The client retries as often as in an outage.
    maxLoadingRetryTime: RETRY_MS,
  }
  const alone = { ...connection, enableOfflineQueue: false, retryStrategy: () => RETRY_MS }
  const makers = {
    alone: () => new Redis({ ...alone, ...hosts[0], db: database }),
    cluster: () =>
      new Cluster(hosts, {
        redisOptions: connection,
        enableOfflineQueue: false,
        // By default ioredis connects to the address that it looked up, which the certificate does not contain.
        dnsLookup: (host, done) => done(null, host),
        clusterRetryStrategy: () => RETRY_MS,
        maxRedirections: 4,
      }),
    sentinel: () =>
      new Redis({
        ...alone,
        sentinels: hosts,
        name: master,
        db: database,
        failoverDetector: true,
        // By default ioredis uses no TLS to the sentinels and to the master that they name.
        ...(isTls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
        sentinelRetryStrategy: () => RETRY_MS,
        sentinelCommandTimeout: 1000,
      }),
  }
  const client: Redis | Cluster = makers[kind]()
  // Without a listener, ioredis prints every failed attempt.
  client.on('error', () => {})
  client.defineCommand('patchSession', { numberOfKeys: 1, lua: PATCH })
  client.defineCommand('enlistSession', { numberOfKeys: 1, lua: ENLIST })
  client.defineCommand('countSessions', { numberOfKeys: 1, lua: COUNT })
  client.defineCommand('listSessions', { numberOfKeys: 1, lua: LIST })
  client.defineCommand('readSessionHead', { numberOfKeys: 1, lua: HEAD })
  return client as Client
}

/**
 * Sends all commands of one turn of the event loop in one write. System calls are the most expensive part of a read, and a
 * busy process has many reads in the same turn.
 */
function gatherWrites(client: Client): void {
  const { stream } = client as Redis
  if (!stream || stream.writableCorked > 0) return
  stream.cork()
  setImmediate(() => stream.uncork())
}

/**
 * Sets `app.redis` to this connection, through @fastify/redis. If Redis is away, that plugin would wait and stop the boot
 * after ten seconds; if Redis is frozen, it would wait for an answer when the app closes. So the client has the status
 * `ready` during this synchronous call, and the plugin does not close it.
 */
export function lendConnection(app: FastifyInstance, client: Redis | Cluster): void {
  const { status } = client
  client.status = 'ready'
  try {
    // It says at once when the app has registered another Redis under this name.
    fastifyRedis(app, { client: client as Redis }, (error) => {
      if (error) throw error
    })
  } finally {
    client.status = status
  }
}

/** @throws SESSION_STORE_UNSUITABLE: GETEX and GETDEL came with Redis 6.2. */
function requireVersion(info: string): void {
  const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? []
  if (Number(major) * 100 + Number(minor) < 602) {
    throw new StoreUnsuitable(`Redis ${major}.${minor}, but 6.2 or newer is needed`)
  }
}
