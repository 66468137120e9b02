import { openDatabase, type Database } from './database.ts'
import type { Env } from './env.ts'

/** The resources that an HTTP process holds open. */
export interface Resources extends AsyncDisposable {
  database: Database
}

/** Does not wait for a server: a process also starts while its stores are unavailable, and `/readyz` says so. */
export async function openResources(env: Env): Promise<Resources> {
  await using opened = new AsyncDisposableStack()
  const database = opened.use(openDatabase(env.DATABASE_URL, { max: env.DATABASE_POOL_MAX }))
  const held = opened.move()
  return { database, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
