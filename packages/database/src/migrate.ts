import { escapeIdentifier as quote } from 'pg'
import { EXTENSIONS, type AppTables } from './app-tables.ts'
import {
  filters,
  readScripts,
  toList,
  withMigrations,
  withoutTrace,
  type Migrations,
} from './open-migrations.ts'
import type { PromisePool } from './open-pool.ts'
import { MigrationError, openSingle } from './open-single.ts'

export { MigrationError } from './open-single.ts'

export interface MigrationStatus {
  applied: string[]
  pending: string[]
  /** Started, but its end was not recorded, because the process was killed. */
  interrupted: string[]
  /** Applied, and changed afterwards. */
  edited: string[]
  /** Applied by a release with migrations that this one does not have. */
  unknown: string[]
  /** The last one of the folder, applied or not. */
  newest: string | undefined
}

/**
 * Applies the pending migrations of an app in order, as the app's own role. Releases of the same app wait for each other,
 * those of other apps do not. Resolves to the names of the applied migrations.
 *
 * @throws {MigrationError} which says what to do. A failed migration has changed nothing, unless the message says otherwise.
 */
export async function migrate(
  url: string,
  tables: AppTables,
  { log = () => {} }: { log?(line: string): void } = {},
): Promise<string[]> {
  return await withMigrations(url, tables, async (migrations) => {
    const { main, scripts, engine } = migrations
    await waitForOtherReleases(migrations, log)
    const [interrupted] = (await diagnose(migrations)).failedMigrationNames
    if (interrupted) throw new MigrationError(wasInterrupted(interrupted))
    const applied: string[] = []
    // One at a time: during its work the engine holds a lock, which is the same for all apps of a database.
    for (const name of await findPending(migrations)) {
      await main.query(`SELECT pg_advisory_lock(${ENGINE_LOCK})`)
      try {
        const upTo = new Map([...scripts].filter(([other]) => other <= name))
        const migrationsList = toList(tables.migrations, upTo)
        applied.push(...(await engine.applyMigrations({ migrationsList, filters })).appliedMigrationNames)
      } catch (error) {
        throw await explainFailure(error, migrations)
      } finally {
        await unlockEngine(main)
      }
    }
    return applied
  })
}

/** Reads which migrations are applied in the database of an app. */
export async function readMigrationStatus(url: string, tables: AppTables): Promise<MigrationStatus> {
  return await withMigrations(url, tables, async (migrations) => {
    const { failedMigrationNames, editedMigrationNames, history } = await diagnose(migrations)
    const unapplied = history && 'unappliedMigrationNames' in history ? history.unappliedMigrationNames : []
    const unknown = history && 'unpersistedMigrationNames' in history ? history.unpersistedMigrationNames : []
    const names = [...migrations.scripts.keys()]
    return {
      applied: names.filter((name) => !unapplied.includes(name) && !failedMigrationNames.includes(name)),
      pending: unapplied.filter((name) => !failedMigrationNames.includes(name)),
      interrupted: failedMigrationNames,
      edited: editedMigrationNames,
      unknown,
      newest: names.at(-1),
    }
  })
}

/** Records the end of an interrupted migration: `undone` when nothing of it is in the database, `done` when all of it is. */
export async function settleMigration(
  url: string,
  tables: AppTables,
  name: string,
  outcome: 'undone' | 'done',
): Promise<void> {
  await withMigrations(url, tables, async (migrations) => {
    await waitForOtherReleases(migrations, () => {})
    const { failedMigrationNames } = await diagnose(migrations)
    if (!failedMigrationNames.includes(name)) throw new MigrationError(`${name} was not interrupted.`)
    const { engine, list: migrationsList } = migrations
    if (outcome === 'undone') await engine.markMigrationRolledBack({ migrationName: name })
    else await engine.markMigrationApplied({ migrationName: name, migrationsList })
  })
}

/** The advisory lock of Prisma's command line and of the engine, which waits only ten seconds for it. */
const ENGINE_LOCK = 72707369

// A lock of the app, until its release ends. It belongs to the Postgres session, so it ends even if this process is killed.
async function waitForOtherReleases(
  { main, tables }: Migrations,
  log: (line: string) => void,
): Promise<void> {
  const lock = [tables.schema]
  const { rows } = await main.query<{ free: boolean }>(
    `SELECT pg_try_advisory_lock(hashtext('migrations'), hashtext($1)) AS free`,
    lock,
  )
  if (rows[0]?.free) return
  log(`another release is migrating ${tables.app}; waiting for it`)
  await main.query(`SELECT pg_advisory_lock(hashtext('migrations'), hashtext($1))`, lock)
}

/** Releases our lock and the engine's, which the engine never releases. */
async function unlockEngine(main: PromisePool): Promise<void> {
  for (;;) {
    const { rows } = await main.query<{ held: boolean }>(
      `SELECT count(pg_advisory_unlock(${ENGINE_LOCK})) > 0 AS held FROM pg_locks
       WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = ${ENGINE_LOCK}`,
    )
    if (!rows[0]?.held) return
  }
}

async function findPending(migrations: Migrations): Promise<string[]> {
  const { history } = await diagnose(migrations)
  return history && 'unappliedMigrationNames' in history ? history.unappliedMigrationNames : []
}

async function diagnose({ engine, list: migrationsList }: Migrations) {
  return await engine.diagnoseMigrationHistory({ migrationsList, optInToShadowDatabase: false, filters })
}

async function explainFailure(error: unknown, migrations: Migrations): Promise<MigrationError> {
  const words = withoutTrace(error)
  const [name] = (await diagnose(migrations)).failedMigrationNames
  if (!name) return new MigrationError(words, { cause: error })
  if (!isOneTransaction(migrations.scripts.get(name)!)) {
    return new MigrationError(
      `${name} failed, and is not one transaction, so part of it may have taken effect.\n  ${words}\n${wayOn(name)}`,
    )
  }
  await migrations.engine.markMigrationRolledBack({ migrationName: name })
  return new MigrationError(
    `${name} failed; nothing of it remains, what came before it is applied.\n  ${words}\n` +
      'Correct its migration.sql and migrate again.',
  )
}

/** Whether a script has no transaction command and no CONCURRENTLY, not even in a comment. Then it is one transaction. */
function isOneTransaction(sql: string): boolean {
  return !/\b(begin|start|commit|end|rollback|abort|concurrently)\b/i.test(sql)
}

function wasInterrupted(name: string): string {
  return `${name} was begun by a release that was killed, and nobody knows how it ended.\n${wayOn(name)}`
}

function wayOn(name: string): string {
  return (
    'Look at the database. When nothing of it remains: pnpm migrate undone ' +
    `${name}\nWhen all of it is there:                           pnpm migrate done ${name}\nThen migrate again.`
  )
}

/**
 * Creates the extensions that migrations need (`CREATE EXTENSION IF NOT EXISTS name SCHEMA extensions`), before they are
 * applied. An app's role may not create one, because each exists once in a database.
 *
 * @returns the executed SQL
 */
export async function makeExtensions(admin: string, apps: readonly AppTables[]): Promise<string[]> {
  const scripts = await Promise.all(apps.map(({ migrations }) => readScripts(migrations)))
  const wanted = scripts
    .flatMap((ofApp) => [...ofApp.values()])
    .flatMap((sql) => [...sql.matchAll(/^create\s+extension\s+if\s+not\s+exists\s+"?([\w-]+)"?/gim)])
    .map(([, name]) => name!)
  if (wanted.length === 0) return []
  const main = openSingle(admin)
  try {
    const { rows } = await main.query<{ name: string }>('SELECT extname AS name FROM pg_extension')
    const known = rows.map(({ name }) => name)
    const done: string[] = []
    for (const name of new Set(wanted)) {
      if (known.includes(name)) continue
      const sql = `CREATE EXTENSION IF NOT EXISTS ${quote(name)} SCHEMA ${EXTENSIONS}`
      await main.query(sql)
      done.push(sql)
    }
    return done
  } finally {
    await main.end()
  }
}
