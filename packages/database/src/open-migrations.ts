import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MigrationList } from '@prisma/schema-engine-wasm'
import type { Pool } from 'pg'
import type { AppTables } from './app-tables.ts'
import { MigrationError, openScratch, openSingle } from './open-single.ts'
import { openSchemaEngine, type SchemaEngine } from './schema-engine.ts'

export interface Migrations {
  engine: SchemaEngine
  tables: AppTables
  /** The one connection that the engine works on. */
  main: Pool
  list: MigrationList
  models: { path: string; content: string }[]
  /** Every migration of the folder, in the order in which they are applied: name and SQL. */
  scripts: Map<string, string>
}

export const filters = { externalTables: [], externalEnums: [] }

/**
 * Opens the schema engine on the database of an app, for as long as `use` takes.
 *
 * @param url of the app's own role
 * @param admin of whoever may make databases, where a scratch database is wanted. Default: the app's role.
 */
export async function withMigrations<T>(
  url: string,
  tables: AppTables,
  use: (migrations: Migrations) => Promise<T>,
  admin = url,
): Promise<T> {
  const models = [{ path: 'schema.prisma', content: await readModels(tables.models) }]
  const scripts = await readScripts(tables.migrations)
  const main = openSingle(url)
  // The engine says no more of it than that it could not connect.
  let scratchError: unknown
  const openOurScratch = (): ReturnType<typeof openScratch> =>
    openScratch(admin, tables.schema).catch((error: unknown) => {
      scratchError = error
      throw error
    })
  try {
    const databases = { main, schema: tables.schema, openScratch: openOurScratch }
    const engine = await openSchemaEngine(models, databases)
    return await use({ engine, tables, main, models, scripts, list: toList(tables.migrations, scripts) })
  } catch (error) {
    if (error instanceof MigrationError) throw error
    const cause = scratchError ?? error
    throw new MigrationError(withoutTrace(cause), { cause })
  } finally {
    await main.end()
  }
}

/** What the engine says, without the places in its own source. */
export function withoutTrace(error: unknown): string {
  const [words] = (error as Error).message.split(/\n[^\S\n]+0: /)
  return words!.replace(/^external connector error\n(Error querying the database: )?/, '').trim()
}

/** To apply migrations the engine asks for no more than what kind of database it is. */
const NO_MODELS = 'datasource db {\n  provider = "postgresql"\n}\n'

async function readModels(file: string): Promise<string> {
  return existsSync(file) ? await readFile(file, 'utf8') : NO_MODELS
}

export async function readScripts(folder: string): Promise<Map<string, string>> {
  if (!existsSync(folder)) return new Map()
  const entries = await readdir(folder, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const scripts = new Map<string, string>()
  for (const name of names.sort()) {
    scripts.set(name, await readFile(join(folder, name, 'migration.sql'), 'utf8'))
  }
  return scripts
}

export function toList(baseDir: string, scripts: ReadonlyMap<string, string>): MigrationList {
  return {
    baseDir,
    // The engine insists on Prisma's lock file, whose only word is the kind of database.
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
    shadowDbInitScript: '',
    migrationDirectories: [...scripts].map(([path, value]) => ({
      path,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } },
    })),
  }
}
