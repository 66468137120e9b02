import { openDatabase, type Database } from './database.ts'
import type { Env } from './env.ts'

/** What a process holds open. */
export interface Resources extends AsyncDisposable {
  database: Database
}

/** Waits for no server: a process boots while its stores are away, and says so on `/readyz`. */
export async function openResources(env: Env): Promise<Resources> {
  await using opened = new AsyncDisposableStack()
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const held = opened.move()
  return { database, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
