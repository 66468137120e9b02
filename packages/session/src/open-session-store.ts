import { guardStore, type GuardOptions } from './guard.ts'
import { StoreUnknown, StoreUnsuitable } from './session-error.ts'
import type { SessionStore } from './store.ts'

export interface SessionStoreOptions extends GuardOptions {}

interface Driver {
  openStore(url: string): Promise<SessionStore>
}

// One import each, so that the library of a store that is not used is never loaded.
const redis = (): Promise<Driver> => import('./stores/redis.ts')
const postgres = (): Promise<Driver> => import('./stores/postgres.ts')
const memcached = (): Promise<Driver> => import('./stores/memcached.ts')

const drivers: Record<string, () => Promise<Driver>> = {
  redis,
  rediss: redis,
  'redis+cluster': redis,
  'rediss+cluster': redis,
  'redis+sentinel': redis,
  'rediss+sentinel': redis,
  memcached,
  postgres,
  postgresql: postgres,
}

/**
 * Opens the store a URL names: `redis://host:6379/0`, `redis+cluster://a:7000,b:7000,c:7000`,
 * `redis+sentinel://a:26379,b:26379/name-of-the-master`, `memcached://host:11211`, `postgres://user@host/database`;
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
