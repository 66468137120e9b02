import { storeUnavailable, StoreUnknown, StoreUnsuitable } from './session-error.ts'
import type { SessionStore } from './store.ts'

/** When a store counts as broken. */
export interface SessionStoreOptions {
  /** How long a request waits for the store at most. Default 500. */
  deadlineMs?: number
  /** After so many missed deadlines in a row nobody waits any more. Default 8. */
  missesToOpen?: number
  /** Then one request is let through this often, one at a time, to see whether the store is back. Default 200. */
  probeMs?: number
  /** So many requests may be with the store at once; it bounds what a silent store costs in memory. Default 512. */
  capacity?: number
}

interface Driver {
  openStore(url: string): Promise<SessionStore>
}

// One import each, so that the library of a store that is not used is never loaded.
const redis = (): Promise<Driver> => import('./stores/redis.ts')
const postgres = (): Promise<Driver> => import('./stores/postgres.ts')

const drivers: Record<string, () => Promise<Driver>> = {
  redis,
  rediss: redis,
  'redis+cluster': redis,
  'rediss+cluster': redis,
  'redis+sentinel': redis,
  'rediss+sentinel': redis,
  // keep: memcached
  memcached: () => import('./stores/memcached.ts'),
  // /keep
  postgres,
  postgresql: postgres,
}

/**
 * Opens the store a URL names: `redis://host:6379/0`, `redis+cluster://a:7000,b:7000,c:7000`,
 * `redis+sentinel://a:26379,b:26379/name-of-the-master`, `postgres://user@host/database`;
 * `rediss` for TLS. A store that is away is no error: the process starts, `check()` rejects,
 * requests that carry a session are answered 503, and it recovers by itself.
 *
 * @throws SESSION_STORE_UNKNOWN when no driver knows the URL
 * @throws SESSION_STORE_URL_INVALID when a part of it is not what belongs there
 * @throws SESSION_STORE_UNSUITABLE when the store is there and is too old
 */
export async function openSessionStore(
  url: string,
  options: SessionStoreOptions = {},
): Promise<SessionStore> {
  const scheme = url.slice(0, url.indexOf('://'))
  const load = Object.hasOwn(drivers, scheme) ? drivers[scheme] : undefined
  if (!load) throw new StoreUnknown(scheme, Object.keys(drivers).join(', '))
  const { openStore } = await load()
  const store = guardStore(await openStore(url), options)

  try {
    await store.check()
  } catch (error) {
    if (error instanceof StoreUnsuitable) {
      await store[Symbol.asyncDispose]()
      throw error
    }
  }
  return store
}

/**
 * Makes a broken store an answer instead of a wait: whatever goes wrong becomes a 503 within the deadline.
 * Only silence opens the breaker, and only an answer closes it: a store that refuses (full, read-only) answers fast by
 * itself, and a client that has lost its connection refuses fast while others still wait for one that is frozen.
 */
export function guardStore(
  store: SessionStore,
  { deadlineMs = 500, missesToOpen = 8, probeMs = 200, capacity = 512 }: SessionStoreOptions = {},
): SessionStore {
  let inFlight = 0
  let misses = 0
  let nextProbeAt = 0

  function run<T>(operation: () => Promise<T>): Promise<T> {
    if (misses >= missesToOpen && inFlight < capacity) {
      // Not the time of day, which jumps: set back by an hour, it would keep the breaker open for so long.
      const now = performance.now()
      if (now < nextProbeAt) return Promise.reject(storeUnavailable('it has been silent'))
      // The next one waits for this one's end: a Postgres that is back first starts a process for every connection that
      // was tried meanwhile. Even a probe that never ends is waited for no longer than ten others would take.
      nextProbeAt = now + 10 * probeMs
      return withDeadline(() => operation().finally(() => (nextProbeAt = now + probeMs)))
    }
    return withDeadline(operation)
  }

  function withDeadline<T>(operation: () => Promise<T>): Promise<T> {
    if (inFlight >= capacity) return Promise.reject(storeUnavailable('too many requests in flight'))
    inFlight += 1
    return new Promise((resolve, reject) => {
      let isSettled = false
      // A process that was itself held up (a busy machine, a long turn) finds its timer due before it has looked at its
      // sockets, and would blame a store whose answer lies there. It looks first: what is there settles the promise.
      const timer = setTimeout(() => setImmediate(() => isSettled || giveUp()), deadlineMs)

      function giveUp(): void {
        misses += 1
        reject(storeUnavailable(`no answer within ${deadlineMs} ms`))
      }
      function settle(): void {
        isSettled = true
        clearTimeout(timer)
        inFlight -= 1
      }
      operation().then(
        (value) => {
          settle()
          misses = 0
          resolve(value)
        },
        (error: Error & { statusCode?: number }) => {
          settle()
          reject(error.statusCode ? error : storeUnavailable(error))
        },
      )
    })
  }

  return {
    load: (key, ttlMs) => run(() => store.load(key, ttlMs)),
    create: (key, record, ttlMs, owner) => run(() => store.create(key, record, ttlMs, owner)),
    patch: (key, change, ttlMs) => run(() => store.patch(key, change, ttlMs)),
    remove: (key, ownerKey) => run(() => store.remove(key, ownerKey)),
    removeAll: (keys, ownerKey) => run(() => store.removeAll(keys, ownerKey)),
    list: (ownerKey, next) => run(() => store.list(ownerKey, next)),
    connection: store.connection,
    // Past the breaker: `/readyz` asks how the store is, and not how it has been.
    check: () => withDeadline(() => store.check()),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
