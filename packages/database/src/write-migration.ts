import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AppTables } from './app-tables.ts'
import { filters, toList, withMigrations, type Migrations } from './open-migrations.ts'
import { MigrationError } from './open-single.ts'

/** Returns the true renames among the likely ones, each name once at most. The others are dropped, and new ones added. */
export type ChooseRenames = (likely: Rename[]) => Promise<Rename[]>

export interface DraftOptions {
  /** Called when a draft drops something and adds something similar. Default: none is a rename. */
  choose?: ChooseRenames
}

/**
 * Writes the migration that leads from an app's migrations to its models, and does not apply it. It creates and drops a
 * scratch database on a server. Resolves to the path of the new file.
 *
 * @param admin the URL of a role that may create databases
 * @throws {MigrationError} when there is nothing to write, or the title is not a valid name
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

/** The SQL that leads from these scripts to the models; null when they agree. */
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
  // The engine drafts the rest as if the renames were applied: indexes and keys are named after columns.
  const sql = `${renames.map((rename) => `-- Rename\n${renameStatement(rename)}`).join('\n\n')}\n`
  const renamed = new Map([...scripts, ['99999999999999_renames', sql]])
  const rest = await compare(migrations, { tag: 'migrations', ...toList(tables.migrations, renamed) }, to)
  return rest === null ? sql : `${sql}\n${rest}`
}

type Target = Parameters<Migrations['engine']['diff']>[0]['from']

/** The SQL that leads from one target to the other; null when they agree. */
export async function compare(
  { engine, tables }: Pick<Migrations, 'engine' | 'tables'>,
  from: Target,
  to: Target,
): Promise<string | null> {
  const { exitCode, stdout } = await engine.diff({ from, to, script: true, exitCode: true, filters })
  // The engine writes the schema name if it reads a database, and not if it reads Prisma's files.
  return exitCode === 0 || stdout === null ? null : stdout.replaceAll(`"${tables.schema}".`, '')
}

/** A column or table that a draft drops, and a similar one that it adds: probably the same with a new name. */
export interface Rename {
  /** The table of the column; undefined when a table is renamed. */
  table?: string
  from: string
  to: string
}

/**
 * Pairs what a draft drops with what it adds of the same kind: a column of the same type in the same table, or a table with
 * the same columns. `backward` is the draft of the other direction, which contains the definitions of the dropped ones. If
 * there are several candidates, all pairs are returned.
 */
function findLikelyRenames(forward: string, backward: string): Rename[] {
  const [added, dropped] = [readAdditions(forward), readAdditions(backward)]
  return dropped.flatMap((old) =>
    added
      .filter(({ table, shape }) => table === old.table && shape === old.shape)
      .map(({ table, name }) => ({ ...(table !== undefined && { table }), from: old.name, to: name })),
  )
}

export function renameStatement({ table, from, to }: Rename): string {
  return table === undefined
    ? `ALTER TABLE "${from}" RENAME TO "${to}";`
    : `ALTER TABLE "${table}" RENAME COLUMN "${from}" TO "${to}";`
}

interface Addition {
  table?: string
  name: string
  /** A column's type, or a table's columns. */
  shape: string
}

/** Reads SQL as Prisma's engine writes it: one clause per line, names in quotes. */
function readAdditions(sql: string): Addition[] {
  const tables = [...sql.matchAll(/^CREATE TABLE "(\w+)" \(\n([\s\S]*?)\n\);$/gm)].map(([, name, body]) => ({
    name: name!,
    shape: body!.replace(/\bCONSTRAINT "\w+" /g, ''),
  }))
  const columns = [...sql.matchAll(/^ALTER TABLE "(\w+)" ([^;]*);$/gm)].flatMap(([, table, clauses]) =>
    [...clauses!.matchAll(/\bADD COLUMN\s+"(\w+)" ([^\n]+?)(?: NOT NULL)?(?: DEFAULT [^\n]*?)?,?$/gm)].map(
      ([, name, shape]) => ({ table: table!, name: name!, shape: shape! }),
    ),
  )
  return [...tables, ...columns]
}
