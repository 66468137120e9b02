import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { dropDatabases } from './create-database.ts'
import { startPostgres } from './start-postgres.ts'
import { startRedis } from './start-redis.ts'

/**
 * Prepares a run of the tests. `pnpm test` has already prepared everything, once, when it calls the `test` script of a
 * member. For a member that is tested alone, this adds what is missing.
 */
export async function setup({ config }: TestProject): Promise<() => Promise<void>> {
  await using opening = new AsyncDisposableStack()
  const isAlone = process.env.TEST_RUN_ID === undefined
  process.env.TEST_RUN_ID ??= randomBytes(4).toString('hex')
  if (isAlone) await makeProducts(config.root)
  if (!process.env.DATABASE_URL) {
    process.env.DATABASE_URL = opening.use(await startPostgres()).url
  } else if (isAlone) {
    opening.defer(dropDatabases)
  }
  if (!process.env.SESSION_STORE_URL) {
    const redis = await startRedis()
    if (redis) process.env.SESSION_STORE_URL = opening.use(redis).url
  }
  const resources = opening.move()
  return () => resources.disposeAsync()
}

/** Lets turbo make what this member's tests need, such as the database client (`made` in turbo.json). */
async function makeProducts(member: string): Promise<void> {
  const turbo = resolve(import.meta.dirname, '../../../node_modules/turbo/bin/turbo')
  try {
    await promisify(execFile)(process.execPath, [turbo, 'run', 'made', '--output-logs=errors-only'], {
      cwd: member,
    })
  } catch (error) {
    // An editor may run vitest where turbo does not find pnpm. Earlier products are still there.
    console.error(`turbo could not make what the tests need: ${(error as Error).message}`)
  }
}
