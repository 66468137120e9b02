import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AppTables } from './app-tables.ts'
import { toList, withMigrations, withoutTrace, type Migrations } from './open-migrations.ts'
import { MigrationError, openSingle } from './open-single.ts'
import { compare, draft, type DraftOptions } from './write-migration.ts'

export interface Amended {
  name: string
  /** Undefined when the schema no longer needs the migration, which is then removed. */
  file: string | undefined
  /** The SQL that took it back in the database; undefined when it was not applied there. */
  undone: string | undefined
}

interface AmendOptions extends DraftOptions {
  /** The URL of a role that may create a scratch database. Default: the app's role. */
  admin?: string
  /** Gets the SQL that takes the migration back, before it is executed. If it throws, nothing is changed. */
  confirm?(undo: string): Promise<void>
}

/**
 * Updates the newest migration to the present schema. If it was not edited by hand, it is drafted again; otherwise the
 * missing statements are added at its end. If it is applied, it is taken back, and `migrate` applies it again: data in its
 * columns is lost. Only for a migration that no other database has.
 *
 * @throws {MigrationError} when there is nothing to amend, or it cannot be taken back. Then nothing has changed.
 */
export async function amendMigration(
  url: string,
  tables: AppTables,
  { admin, choose, confirm }: AmendOptions = {},
): Promise<Amended> {
  return await withMigrations(url, tables, amend, admin)

  async function amend(migrations: Migrations): Promise<Amended> {
    const { main, scripts, models } = migrations
    const [name, script] = [...scripts].at(-1) ?? []
    if (name === undefined || script === undefined)
      throw new MigrationError(`${tables.app} has no migration yet.`)
    const before = new Map([...scripts].slice(0, -1))
    const [older, all] = [before, scripts].map((some) => ({
      tag: 'migrations' as const,
      ...toList(tables.migrations, some),
    }))

    const drafted = await compare(migrations, older!, all!)
    const isDrafted = drafted !== null && isSame(drafted, script)
    const missing = isDrafted ? null : await draft(migrations, scripts, choose)
    const text = isDrafted
      ? await draft(migrations, before, choose)
      : [script, missing].filter((part) => part !== null).join('\n')

    const [row] = await read<{ isEdited: boolean }>(
      `SELECT checksum <> encode(sha256(convert_to($1, 'UTF8')), 'hex') AS "isEdited" FROM _prisma_migrations
       WHERE migration_name = $2 AND finished_at IS NOT NULL AND rolled_back_at IS NULL`,
      [script, name],
    )
    if (text === script && !row?.isEdited)
      throw new MigrationError(`${name} says all that the schema says: there is nothing to amend.`)

    const undone = row && (await takeBack())
    const folder = join(tables.migrations, name)
    if (text === null) await rm(folder, { recursive: true })
    else await writeFile(join(folder, 'migration.sql'), text)
    return { name, file: text === null ? undefined : join(folder, 'migration.sql'), undone }

    async function takeBack(): Promise<string> {
      if (/\bRENAME (COLUMN|TO)\b/.test(withoutComments(script!)))
        throw new MigrationError(
          `${name} renames, which cannot be taken back without a loss. Write the next one, or: pnpm migrate reset ${tables.app}`,
        )
      const undo =
        (await compare(migrations, { tag: 'schemaDatasource', files: models, configDir: '' }, older!)) ?? ''
      await confirm?.(undo)
      const single = openSingle(url)
      try {
        // Sent as a whole, it is one transaction.
        await single.query(`${undo}\n; DELETE FROM _prisma_migrations WHERE migration_name = '${name}'`)
      } catch (error) {
        throw new MigrationError(
          `${name} cannot be taken back: ${withoutTrace(error)}\nNothing was changed. Write the next one, or: pnpm migrate reset ${tables.app}`,
          { cause: error },
        )
      } finally {
        await single.end()
      }
      return undo
    }

    /** No rows when the table of migrations does not exist yet. */
    async function read<Row>(text: string, values: unknown[]): Promise<Row[]> {
      const { rows } = await main.query<{ exists: boolean }>({
        text: `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`,
      })
      return rows[0]?.exists ? ((await main.query({ text, values })).rows as Row[]) : []
    }
  }
}

function withoutComments(sql: string): string {
  return sql
    .replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** The engine writes the order of an index (ASC) only when it reads a database. */
function isSame(one: string, other: string): boolean {
  const [first, second] = [one, other].map((sql) => withoutComments(sql).replaceAll(' ASC', ''))
  return first === second
}
