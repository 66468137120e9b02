import { guardStore, type GuardOptions } from './guard.ts'
import { StoreUnknown, StoreUnsuitable } from './session-error.ts'
import type { SessionStore } from './store.ts'

export interface SessionStoreOptions extends GuardOptions {}

interface Driver {
  openStore(url: URL): Promise<SessionStore>
}

// One import each, so that the library of a store that is not used is never loaded.
const drivers: Record<string, () => Promise<Driver>> = {
  'redis:': () => import('./stores/redis.ts'),
  'rediss:': () => import('./stores/redis.ts'),
  'postgres:': () => import('./stores/postgres.ts'),
  'postgresql:': () => import('./stores/postgres.ts'),
}

/**
 * Opens the store a URL names. A store that is away is no error: the process starts, `check()` (and so `/readyz`)
 * rejects, requests that carry a session are answered 503, and it recovers by itself.
 *
 * @throws SESSION_STORE_UNKNOWN when no driver knows the URL
 * @throws SESSION_STORE_UNSUITABLE when the store is there and is too old
 */
export async function openSessionStore(
  url: string,
  options: SessionStoreOptions = {},
): Promise<SessionStore> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const load = drivers[parsed?.protocol ?? '']
  if (!parsed || !load) {
    const known = Object.keys(drivers).join(', ')
    throw new StoreUnknown(
      parsed ? `no store is known for ${parsed.protocol} (known: ${known})` : 'not a URL',
    )
  }
  const { openStore } = await load()
  const store = guardStore(await openStore(parsed), options)

  await store.check().catch(async (error: unknown) => {
    if (!(error instanceof StoreUnsuitable)) return
    await store[Symbol.asyncDispose]()
    throw error
  })
  return store
}
