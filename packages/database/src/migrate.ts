import { Client, escapeIdentifier, type Pool } from 'pg'
import {
  filters,
  MigrationError,
  openSingle,
  ownFolders,
  withMigrations,
  withoutTrace,
  type Migrations,
} from './open-migrations.ts'

export { MigrationError } from './open-migrations.ts'

export interface MigrationStatus {
  applied: string[]
  pending: string[]
  /** Begun, and nobody recorded how it ended: its process was killed. */
  interrupted: string[]
  /** Applied, and changed since then. */
  edited: string[]
  /** Applied by a release that has migrations which this one has not. */
  unknown: string[]
  /** The last that the folder has, applied or not. */
  newest: string | undefined
}

/**
 * Applies what the database does not have yet, in order, and makes the database itself if need be. Releases that come
 * at the same time wait for each other. Resolves to the names of what was applied.
 *
 * @throws {MigrationError} which says what to do. A migration that failed has changed nothing, unless it says so.
 */
export async function migrate(
  url: string,
  { folders = ownFolders, log = () => {} }: { folders?: typeof ownFolders; log?(line: string): void } = {},
): Promise<string[]> {
  await makeDatabase(url, log)
  return await withMigrations(url, folders, async (migrations) => {
    await waitForOtherReleases(migrations.main, log)
    const [interrupted] = (await diagnose(migrations)).failedMigrationNames
    if (interrupted) throw new MigrationError(wasInterrupted(interrupted))
    try {
      const { list: migrationsList, engine } = migrations
      return (await engine.applyMigrations({ migrationsList, filters })).appliedMigrationNames
    } catch (error) {
      throw await explainFailure(error, migrations)
    }
  })
}

export async function readMigrationStatus(url: string, folders = ownFolders): Promise<MigrationStatus> {
  return await withMigrations(url, folders, async (migrations) => {
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

/** Records how an interrupted migration ended, once a person has looked: it was `undone` with its session, or is `done`. */
export async function settleMigration(
  url: string,
  name: string,
  outcome: 'undone' | 'done',
  folders = ownFolders,
): Promise<void> {
  await withMigrations(url, folders, async (migrations) => {
    await waitForOtherReleases(migrations.main, () => {})
    const { failedMigrationNames } = await diagnose(migrations)
    if (!failedMigrationNames.includes(name)) throw new MigrationError(`${name} was not interrupted.`)
    const { engine, list: migrationsList } = migrations
    if (outcome === 'undone') await engine.markMigrationRolledBack({ migrationName: name })
    else await engine.markMigrationApplied({ migrationName: name, migrationsList })
  })
}

/**
 * Takes away everything that migrations have made, with all rows, and applies them from the first. What else uses the
 * database has a schema of its own (sessions, counters, jobs), and stays.
 */
export async function resetDatabase(
  url: string,
  options: Parameters<typeof migrate>[1] = {},
): Promise<string[]> {
  const main = openSingle(url)
  try {
    await waitForOtherReleases(main, options.log ?? (() => {}))
    await main.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  } finally {
    await main.end()
  }
  return await migrate(url, options)
}

async function makeDatabase(url: string, log: (line: string) => void): Promise<void> {
  const probe = openSingle(url)
  try {
    await probe.query('SELECT 1')
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000') {
      throw new MigrationError(`The database cannot be reached: ${(error as Error).message}`, {
        cause: error,
      })
    }
    // As pg takes the URL apart, which is who connects to it later.
    const name = new Client({ connectionString: url }).database!
    const server = openSingle(Object.assign(new URL(url), { pathname: '/postgres' }).href)
    try {
      await server.query(`CREATE DATABASE ${escapeIdentifier(name)}`)
      log(`made the database ${name}`)
    } catch (error) {
      // Another release was first.
      if ((error as { code?: string }).code !== '42P04') {
        throw new MigrationError(
          `There is no database ${name}, and making it failed: ${(error as Error).message}`,
        )
      }
    } finally {
      await server.end()
    }
  } finally {
    await probe.end()
  }
}

// The lock that Prisma's own command line takes, and the engine too, which waits only ten seconds for it. It belongs
// to the session, so it ends with this process, however that ends.
async function waitForOtherReleases(main: Pool, log: (line: string) => void): Promise<void> {
  const lock = '(72707369)'
  const { rows } = await main.query<{ free: boolean }>(`SELECT pg_try_advisory_lock${lock} AS free`)
  if (rows[0]?.free) return
  log('another release is migrating this database; waiting for it')
  await main.query(`SELECT pg_advisory_lock${lock}`)
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

/** Whether it leaves the transaction that it is sent as to Postgres. In doubt (the word in a comment, say) it does not. */
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
