import { storeUnavailable, StoreUnknown, StoreUnsuitable } from './session-error.ts'
import type { SessionStore } from './store.ts'

/** The limits after which a store counts as unavailable. */
export interface SessionStoreOptions {
  /** The longest time that a request waits for one operation of the store. Default 500. */
  deadlineMs?: number
  /** After so many missed deadlines in a row the circuit breaker opens: operations fail at once. Default 8. */
  missesToOpen?: number
  /** While it is open, one operation this often, and one at a time, tests whether the store is back. Default 200. */
  probeMs?: number
  /** The highest number of operations in flight. It bounds the memory that a silent store costs. Default 512. */
  capacity?: number
}

interface Driver {
  openStore(url: string): Promise<SessionStore>
}

// Imported when needed, so that the library of an unused store is never loaded.
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
 * Opens a store by its URL: `redis://host:6379/0`, `redis+cluster://a:7000,b:7000,c:7000`,
 * `redis+sentinel://a:26379,b:26379/name-of-the-master`, `postgres://user@host/database`; `rediss` for TLS. It is no error
 * if the store is away: the process starts, `check()` rejects, requests with a session get 503, and the store reconnects.
 *
 * @throws SESSION_STORE_UNKNOWN when there is no driver for the scheme
 * @throws SESSION_STORE_URL_INVALID when a part of the URL is invalid
 * @throws SESSION_STORE_UNSUITABLE when the store is available and too old
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
 * Wraps a store with a deadline and a circuit breaker: a failure without a status becomes a 503 within the deadline. Only
 * missed deadlines open the breaker, and only a success closes it. A store that refuses (full, read-only) answers fast by
 * itself, and a client that has lost its connection fails fast while other operations still wait for a frozen one.
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
      // Not the time of day: a clock that is set back by an hour would keep the breaker open for an hour.
      const now = performance.now()
      if (now < nextProbeAt) return Promise.reject(storeUnavailable('it has been silent'))
      // The next probe waits until this one ends: a Postgres that is back first starts a process for every connection that
      // was tried meanwhile. If a probe never ends, the next one starts after ten times `probeMs`.
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
      // If this process was blocked (a busy machine, a long turn of the event loop), its timer fires before it has read its
      // sockets, where the answer may be. `setImmediate` lets it read them first.
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
    // Not stopped by an open breaker: `/readyz` needs the present state of the store.
    check: () => withDeadline(() => store.check()),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
