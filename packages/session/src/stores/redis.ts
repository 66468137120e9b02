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

type Client = (Redis | Cluster) & {
  patchSession(key: string, ...args: (string | number)[]): Promise<0 | 1 | string>
  enlistSession(key: string, now: number, until: number, member: string): Promise<void>
}

// A replica, a master that has lost its replicas, and a full disk can still say who it is.
const REFUSES_WRITES = /^(READONLY|NOREPLICAS|MISCONF)/
const RETRY_MS = 100

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

    connection: { redis: client },

    decorate: (app) => decorate(app, client),

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
 * Lends the service our connection as `app.redis.sessions`, through @fastify/redis. It would wait for a Redis that is
 * away, and give up the whole boot after ten seconds, and at the end it would wait for a frozen one's goodbye: so it
 * is told, for the one synchronous call, that the client is ready, and never to close it.
 */
function decorate(app: FastifyInstance, client: Client): void {
  const { status } = client
  client.status = 'ready'
  fastifyRedis(app, { client: client as Redis, namespace: 'sessions' }, () => {})
  client.status = status
}

/** @throws SESSION_STORE_UNSUITABLE: GETEX and GETDEL came with Redis 6.2. */
function requireVersion(info: string): void {
  const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(info) ?? []
  if (Number(major) * 100 + Number(minor) < 602) {
    throw new StoreUnsuitable(`Redis ${major}.${minor}, but 6.2 or newer is needed`)
  }
}
