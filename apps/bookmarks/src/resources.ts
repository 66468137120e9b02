import { openSessionStore, type SessionStore } from '@repo/session'
import { openDatabase, type Database } from './database.ts'
import type { ServerEnv } from './env.ts'

/** What an HTTP process opens at its start and closes at its end. */
export interface Resources extends AsyncDisposable {
  database: Database
  sessions: SessionStore
}

/** Does not wait for any server: a process starts while its stores are unavailable, and `/readyz` reports that. */
export async function openResources(env: ServerEnv): Promise<Resources> {
  await using opened = new AsyncDisposableStack()
  const sessions = opened.use(await openSessionStore(env.SESSION_STORE_URL))
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const held = opened.move()
  return { database, sessions, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
