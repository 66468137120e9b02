import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MigrationList } from '@prisma/schema-engine-wasm'
import type { AppTables } from './app-tables.ts'
import type { PromisePool } from './open-pool.ts'
import { MigrationError, openScratch, openSingle } from './open-single.ts'
import { openSchemaEngine, type SchemaEngine } from './schema-engine.ts'

export interface Migrations {
  engine: SchemaEngine
  tables: AppTables
  /** The one connection of the engine. */
  main: PromisePool
  list: MigrationList
  models: { path: string; content: string }[]
  /** Name and SQL of every migration of the folder, in the order of application. */
  scripts: Map<string, string>
}

export const filters = { externalTables: [], externalEnums: [] }

/**
 * Opens the schema engine on the database of an app, until `use` ends.
 *
 * @param url the URL of the app's own role
 * @param admin the URL of a role that may create a scratch database. Default: the app's role.
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
  // Kept, because the engine's own error says only that it could not connect.
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

/** The message of an engine error, without the places in its source. */
export function withoutTrace(error: unknown): string {
  const [words] = (error as Error).message.split(/\n[^\S\n]+0: /)
  return words!.replace(/^external connector error\n(Error querying the database: )?/, '').trim()
}

/** To apply migrations, the engine needs only the kind of database. */
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
    // The engine requires Prisma's lock file, which contains only the kind of database.
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
    shadowDbInitScript: '',
    migrationDirectories: [...scripts].map(([path, value]) => ({
      path,
      migrationFile: { path: 'migration.sql', content: { tag: 'ok', value } },
    })),
  }
}
