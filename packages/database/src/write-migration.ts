import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findLikelyRenames, renameStatement, type Rename } from './find-renames.ts'
import type { AppTables } from './app-tables.ts'
import { MigrationError } from './migration-error.ts'
import { filters, toList, withMigrations, type Migrations } from './open-migrations.ts'

export { renameStatement, type Rename } from './find-renames.ts'

/** Which of these are renamed; the others are dropped, and new ones are added. Each name is renamed once at most. */
export type ChooseRenames = (likely: Rename[]) => Promise<Rename[]>

export interface DraftOptions {
  /** Asked when a draft drops one thing and adds another like it. Default: none is a rename. */
  choose?: ChooseRenames
}

/**
 * Writes the migration that leads from an app's migrations to its models, and does not apply it. It needs a server, on which it makes
 * and removes a scratch database. Resolves to the path of the new file.
 *
 * @param admin who may make databases
 * @throws {MigrationError} when there is nothing to write
 */
export async function writeMigration(
  admin: string,
  tables: AppTables,
  title: string,
  { choose, isEmpty = false }: DraftOptions & { isEmpty?: boolean } = {},
): Promise<string> {
  if (!/^[a-z][a-z0-9_]{0,59}$/.test(title)) {
    throw new MigrationError(
      `"${title}" cannot name a migration: small letters, digits and _ can, as add_folders.`,
    )
  }
  const sql = isEmpty
    ? '-- Write here what the schema cannot say.\n'
    : await draftMigration(admin, tables, choose)
  if (sql === null) {
    throw new MigrationError(
      `The migrations of ${tables.app} already say all that its schema says: there is nothing to write.`,
    )
  }
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const folder = join(tables.migrations, `${timestamp}_${title}`)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'migration.sql'), sql)
  return join(folder, 'migration.sql')
}

/** The SQL that leads from the migrations to the models; null when they agree. */
export async function draftMigration(
  admin: string,
  tables: AppTables,
  choose?: ChooseRenames,
): Promise<string | null> {
  return await withMigrations(admin, tables, (migrations) => draft(migrations, migrations.scripts, choose))
}

/** The same, from some of the migrations, or from others. */
export async function draft(
  migrations: Migrations,
  scripts: ReadonlyMap<string, string>,
  choose?: ChooseRenames,
): Promise<string | null> {
  const { models, tables } = migrations
  const from = { tag: 'migrations' as const, ...toList(tables.migrations, scripts) }
  const to = { tag: 'schemaDatamodel' as const, files: models }
  const plain = await compare(migrations, from, to)
  if (plain === null || !choose || !/\bDROP (COLUMN|TABLE)\b/.test(plain)) return plain

  const likely = findLikelyRenames(plain, (await compare(migrations, to, from)) ?? '')
  const renames = likely.length > 0 ? await choose(likely) : []
  if (renames.length === 0) return plain
  // What is left to say once these are renamed, the engine says itself: indexes and keys are named after columns.
  const sql = `${renames.map((rename) => `-- Rename\n${renameStatement(rename)}`).join('\n\n')}\n`
  const renamed = new Map([...scripts, ['99999999999999_renames', sql]])
  const rest = await compare(migrations, { tag: 'migrations', ...toList(tables.migrations, renamed) }, to)
  return rest === null ? sql : `${sql}\n${rest}`
}

type Target = Parameters<Migrations['engine']['diff']>[0]['from']

/** The SQL that leads from one to the other; null when they agree. */
export async function compare(
  { engine, tables }: Pick<Migrations, 'engine' | 'tables'>,
  from: Target,
  to: Target,
): Promise<string | null> {
  const { exitCode, stdout } = await engine.diff({ from, to, script: true, exitCode: true, filters })
  // It names the schema where it reads it from a database, and not where it reads it from Prisma's files.
  return exitCode === 0 || stdout === null ? null : stdout.replaceAll(`"${tables.schema}".`, '')
}
