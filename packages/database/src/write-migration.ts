import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findLikelyRenames, renameStatement, type Rename } from './find-renames.ts'
import {
  filters,
  MigrationError,
  ownFolders,
  toList,
  withMigrations,
  type Migrations,
} from './open-migrations.ts'

export { renameStatement, type Rename } from './find-renames.ts'

/** Which of these are renamed; the others are dropped, and new ones are added. Each name is renamed once at most. */
export type ChooseRenames = (likely: Rename[]) => Promise<Rename[]>

export interface DraftOptions {
  folders?: typeof ownFolders
  /** Asked when a draft drops one thing and adds another like it. Default: none is a rename. */
  choose?: ChooseRenames
}

/**
 * Writes the migration that leads from the migrations to the schema, and does not apply it. It needs a server, on
 * which it makes and removes a scratch database. Resolves to the path of the new file.
 *
 * @throws {MigrationError} when there is nothing to write
 */
export async function writeMigration(
  url: string,
  title: string,
  { folders = ownFolders, choose, isEmpty = false }: DraftOptions & { isEmpty?: boolean } = {},
): Promise<string> {
  if (!/^[a-z][a-z0-9_]{0,59}$/.test(title)) {
    throw new MigrationError(
      `"${title}" cannot name a migration: small letters, digits and _ can, as add_folders.`,
    )
  }
  const sql = isEmpty
    ? '-- Write here what the schema cannot say.\n'
    : await draftMigration(url, folders, choose)
  if (sql === null) {
    throw new MigrationError(
      'The migrations already say all that the schema says: there is nothing to write.',
    )
  }
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const folder = join(folders.migrations, `${timestamp}_${title}`)
  await mkdir(folder)
  await writeFile(join(folder, 'migration.sql'), sql)
  return join(folder, 'migration.sql')
}

/** The SQL that leads from the migrations to the schema; null when they agree. */
export async function draftMigration(
  url: string,
  folders = ownFolders,
  choose?: ChooseRenames,
): Promise<string | null> {
  return await withMigrations(url, folders, (migrations) => draft(migrations, migrations.scripts, choose))
}

/** The same, from some of the migrations, or from others. */
export async function draft(
  { engine, schema, folders }: Migrations,
  scripts: ReadonlyMap<string, string>,
  choose?: ChooseRenames,
): Promise<string | null> {
  const from = { tag: 'migrations' as const, ...toList(folders.migrations, scripts) }
  const to = { tag: 'schemaDatamodel' as const, files: schema }
  const plain = await compare(engine, from, to)
  if (plain === null || !choose || !/\bDROP (COLUMN|TABLE)\b/.test(plain)) return plain

  const likely = findLikelyRenames(plain, (await compare(engine, to, from)) ?? '')
  const renames = likely.length > 0 ? await choose(likely) : []
  if (renames.length === 0) return plain
  // What is left to say once these are renamed, the engine says itself: indexes and keys are named after columns.
  const sql = `${renames.map((rename) => `-- Rename\n${renameStatement(rename)}`).join('\n\n')}\n`
  const renamed = new Map([...scripts, ['99999999999999_renames', sql]])
  const rest = await compare(engine, { tag: 'migrations', ...toList(folders.migrations, renamed) }, to)
  return rest === null ? sql : `${sql}\n${rest}`
}

type Engine = Migrations['engine']
type Target = Parameters<Engine['diff']>[0]['from']

/** The SQL that leads from one to the other; null when they agree. */
export async function compare(engine: Engine, from: Target, to: Target): Promise<string | null> {
  const { exitCode, stdout } = await engine.diff({ from, to, script: true, exitCode: true, filters })
  // It names the schema where it reads it from a database, and not where it reads it from Prisma's files.
  return exitCode === 0 || stdout === null ? null : stdout.replaceAll('"public".', '')
}
