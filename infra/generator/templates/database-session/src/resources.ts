import { openSessionStore, type SessionStore } from '@repo/session'
import { openDatabase, type Database } from './database.ts'
import type { Env } from './env.ts'

/** The resources that a process holds open. */
export interface Resources extends AsyncDisposable {
  database: Database
  sessions: SessionStore
}

/** Does not wait for a server: a process also starts while its stores are unavailable, and `/readyz` says so. */
export async function openResources(env: Env): Promise<Resources> {
  await using opened = new AsyncDisposableStack()
  const sessions = opened.use(await openSessionStore(env.SESSION_STORE_URL))
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const held = opened.move()
  return { database, sessions, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
