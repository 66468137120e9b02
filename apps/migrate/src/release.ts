import { directUrlVariableOf, schemasOf, urlVariableOf, type AppTables } from '@repo/database/app-tables'
import { makeExtensions, migrate, MigrationError } from '@repo/database/migrate'
import { moveFromPublic } from '@repo/database/move-from-public'
import { assertOwnSchema, makeDatabase, makeShares, type Share } from '@repo/database/shares'
import { migrateLimits } from '@repo/limits'
import { migrateQueue, moveJobs } from '@repo/queue'
import { openSessionStore } from '@repo/session'
import { migrateSessions } from '@repo/session/migrate'
import type { Env } from './env.ts'

type Log = (line: string) => void

/**
 * Brings every database up to date: first roles and schemas, as `ADMIN_DATABASE_URL`, then the migrations of each app as the
 * app's own role. If the migration of one app fails, the others are still migrated.
 *
 * @returns the problems, with what to do; empty when everything is up to date
 */
export async function release(apps: readonly AppTables[], env: Env, log: Log): Promise<string[]> {
  const admin = env.ADMIN_DATABASE_URL
  const shares = new Map(apps.map((tables) => [tables, shareOf(tables, env)]))
  const sessions = sessionShare(env)
  if (admin) {
    await makeDatabase(admin, log)
    for (const statement of await makeShares(admin, [...shares.values(), ...sessions])) log(statement)
    for (const statement of await makeExtensions(admin, apps)) log(statement)
    for (const line of await moveFromPublic(admin, apps)) log(line)
  }

  const problems: string[] = []
  let isChanged = false
  for (const [tables, share] of shares) {
    try {
      await assertOwnSchema(share)
      const applied = await migrate(share.url, tables, { log })
      // keep: queue
      if (tables.hasQueue) await releaseQueue(tables, share, admin, log)
      // /keep
      for (const name of applied) log(`applied ${tables.app}/${name}`)
      isChanged ||= applied.length > 0
    } catch (error) {
      const { message, stack = message } = error as Error
      problems.push(error instanceof MigrationError ? message : `${tables.app}: ${stack}`)
    }
  }
  for (const share of sessions) await releaseSessions(share)
  if (!isChanged && problems.length === 0) log('nothing to apply')
  return problems
}

function shareOf(tables: AppTables, env: Env): Share {
  // Locks and settings belong to a Postgres session. A pooler in transaction mode gives each transaction another one.
  const urls = env as Record<string, string | undefined>
  const url = urls[directUrlVariableOf(tables.app)] ?? urls[urlVariableOf(tables.app)]!
  return { name: tables.schema, schemas: schemasOf(tables), url }
}

function sessionShare({ SESSION_STORE_URL: url }: Env): Share[] {
  if (!url || !/^postgres(ql)?:/.test(url)) return []
  return [{ name: 'sessions', schemas: ['sessions'], url }]
}

// keep: queue
async function releaseQueue(
  { app, schema }: AppTables,
  { url }: Share,
  admin: string | undefined,
  log: Log,
): Promise<void> {
  const queue = `${schema}_queue`
  await migrateQueue(url, queue)
  const moved = admin ? await moveJobs(admin, app, queue) : 0
  if (moved > 0) log(`moved ${moved} jobs of ${app} to ${queue}`)
}
// /keep

async function releaseSessions(share: Share): Promise<void> {
  await assertOwnSchema(share)
  await migrateSessions(share.url)
  await using store = await openSessionStore(share.url)
  if ('postgres' in store.connection) await migrateLimits(store.connection.postgres)
}
