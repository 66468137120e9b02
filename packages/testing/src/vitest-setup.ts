import { randomBytes } from 'node:crypto'
import { dropDatabases } from './create-database.ts'
import { startPostgres } from './start-postgres.ts'
import { startRedis } from './start-redis.ts'

/**
 * The backing services of one run of the tests. `DATABASE_URL` and `SESSION_STORE_URL` win when they are set, as
 * `pnpm test` does to start them once for all members; a member that is tested alone starts its own.
 */
export async function setup(): Promise<() => Promise<void>> {
  const resources = new AsyncDisposableStack()
  const isOurRun = process.env.TEST_RUN_ID === undefined
  process.env.TEST_RUN_ID ??= randomBytes(4).toString('hex')
  if (!process.env.DATABASE_URL) {
    process.env.DATABASE_URL = resources.use(await startPostgres()).url
  } else if (isOurRun) {
    resources.defer(dropDatabases)
  }
  if (!process.env.SESSION_STORE_URL) {
    const redis = await startRedis()
    if (redis) process.env.SESSION_STORE_URL = resources.use(redis).url
  }
  return () => resources.disposeAsync()
}
