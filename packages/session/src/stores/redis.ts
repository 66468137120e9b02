import fastifyRedis from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import { Cluster, Redis } from 'ioredis'
import { StoreUnsuitable } from '../session-error.ts'
import { parseRedisUrl } from '../store-url.ts'
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

// How many names are on a list. KEYS: the list. ARGV: one of them, without which it is 0.
const COUNT = `return redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) or 0`

// A page of a list: up to the name with which it is full, and the others of the same millisecond. KEYS: the list.
// ARGV: where it begins, and how many names fill it.
const LIST = `
  local last = redis.call('ZRANGE', KEYS[1], ARGV[1], '+inf', 'BYSCORE', 'LIMIT', ARGV[2] - 1, 1, 'WITHSCORES')[2]
  return redis.call('ZRANGE', KEYS[1], ARGV[1], last or '+inf', 'BYSCORE', 'WITHSCORES')`

// The first line of a record, which may be a long one, and the time it has left.
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

// A replica, a master that has lost its replicas, and a full disk can still say who it is.
const REFUSES_WRITES = /^(READONLY|NOREPLICAS|MISCONF)/
const RETRY_MS = 100
/** In a Cluster each record is asked for by itself. */
const PAGE = 100

const recordKey = (key: string): string => `session:${key}`
const listKey = (ownerKey: string): string => `sessions-of:${ownerKey}`

/**
 * Sessions in Redis 6.2 or newer, or Valkey: alone, as a Cluster or behind Sentinel. Resolves once the first
 * connection is made or has failed, or after a second.
 */
export async function openStore(url: string): Promise<SessionStore> {
  const client = openClient(url)
  let isSuitable = false
  let isClosed = false
  // News of a failover that reaches ioredis while it asks the sentinels for the master ends it, and nobody begins it again.
  client.on('end', () => isClosed || client.connect().catch(() => {}))
  await new Promise((resolve) => {
    client.once('ready', resolve).once('close', resolve)
    setTimeout(resolve, 1000)
  })

  /** Returns those that were not there. */
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
      // Those that were created until their names were struck off.
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
      // While Redis reads its data back it answers INFO, and nothing else: not PING.
      await client.ping()
      if (!isSuitable) requireVersion(String(await client.info('server')))
      isSuitable = true
    },

    connection: { redis: client },

    async [Symbol.asyncDispose]() {
      isClosed = true
      // Not quit(): a frozen Redis never says goodbye.
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
    // Leaves a server that holds its connections and says nothing; without it a failover never reaches us.
    socketTimeout: 2000,
    // No second try inside the client: a request waits for its own command and for nothing else.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Redis says how long it will read its data back, in whole seconds; it is asked again as often as one that is away.
    maxLoadingRetryTime: RETRY_MS,
  }
  const alone = { ...connection, enableOfflineQueue: false, retryStrategy: () => RETRY_MS }
  const makers = {
    alone: () => new Redis({ ...alone, ...hosts[0], db: database }),
    cluster: () =>
      new Cluster(hosts, {
        redisOptions: connection,
        enableOfflineQueue: false,
        // Of its own accord ioredis connects to the address that it has looked up, for which there is no certificate.
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
        // Of its own accord ioredis speaks plainly to the sentinels, and to the master they name.
        ...(isTls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
        sentinelRetryStrategy: () => RETRY_MS,
        sentinelCommandTimeout: 1000,
      }),
  }
  const client: Redis | Cluster = makers[kind]()
  // Without a listener ioredis prints every failed attempt.
  client.on('error', () => {})
  client.defineCommand('patchSession', { numberOfKeys: 1, lua: PATCH })
  client.defineCommand('enlistSession', { numberOfKeys: 1, lua: ENLIST })
  client.defineCommand('countSessions', { numberOfKeys: 1, lua: COUNT })
  client.defineCommand('listSessions', { numberOfKeys: 1, lua: LIST })
  client.defineCommand('readSessionHead', { numberOfKeys: 1, lua: HEAD })
  return client as Client
}

/**
 * Lets what one turn of the event loop asks leave in one write: system calls are the dearest part of a read, and a
 * busy process has many of them in the same turn.
 */
function gatherWrites(client: Client): void {
  const { stream } = client as Redis
  if (!stream || stream.writableCorked > 0) return
  stream.cork()
  setImmediate(() => stream.uncork())
}

/**
 * Lends the service our connection as `app.redis`, through @fastify/redis. That plugin would wait for a Redis that is away,
 * and stop the boot after ten seconds; at the end it would wait for an answer of a frozen one. So for this one synchronous
 * call the client says that it is ready, and the plugin is not to close it.
 */
export function lendConnection(app: FastifyInstance, client: Redis | Cluster): void {
  const { status } = client
  client.status = 'ready'
  fastifyRedis(app, { client: client as Redis }, () => {})
  client.status = status
}

/** @throws SESSION_STORE_UNSUITABLE: GETEX and GETDEL came with Redis 6.2. */
function requireVersion(info: string): void {
  const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? []
  if (Number(major) * 100 + Number(minor) < 602) {
    throw new StoreUnsuitable(`Redis ${major}.${minor}, but 6.2 or newer is needed`)
  }
}
