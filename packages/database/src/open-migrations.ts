import { randomUUID } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { MigrationList } from '@prisma/schema-engine-wasm'
import { Pool, type QueryConfig } from 'pg'
import { openSchemaEngine, type SchemaEngine } from './schema-engine.ts'

/** Where the migrations and the schema are. Named so, a bundle carries them along. */
export interface Folders {
  migrations: string
  schema: string
}

export const ownFolders: Folders = {
  migrations: fileURLToPath(new URL('../migrations', import.meta.url)),
  schema: fileURLToPath(new URL('../schema', import.meta.url)),
}

export interface Migrations {
  engine: SchemaEngine
  folders: Folders
  /** The one connection that the engine works on. */
  main: Pool
  list: MigrationList
  schema: { path: string; content: string }[]
  /** Every migration of the folder, in the order in which they are applied: name and SQL. */
  scripts: Map<string, string>
}

/** Something a person has to do something about. Its message says what. */
export class MigrationError extends Error {
  override name = 'MigrationError'
}

export const filters = { externalTables: [], externalEnums: [] }

/** Opens the schema engine on a database and the folders, for as long as `use` takes. */
export async function withMigrations<T>(
  url: string,
  folders: Folders,
  use: (migrations: Migrations) => Promise<T>,
): Promise<T> {
  const schema = await readSchema(folders.schema)
  const scripts = await readScripts(folders.migrations)
  const main = openSingle(url)
  // The engine says no more of it than that it could not connect.
  let scratchError: unknown
  const openOurScratch = (): ReturnType<typeof openScratch> =>
    openScratch(url).catch((error: unknown) => {
      scratchError = error
      throw error
    })
  try {
    const engine = await openSchemaEngine(schema, { main, openScratch: openOurScratch })
    return await use({ engine, folders, main, schema, scripts, list: toList(folders.migrations, scripts) })
  } catch (error) {
    if (error instanceof MigrationError) throw error
    const cause = scratchError ?? error
    throw new MigrationError(withoutTrace(cause), { cause })
  } finally {
    await main.end()
  }
}

/** One connection, which lives until the pool ends: what is set and locked on it holds for all that follows. */
export function openSingle(url: string): Pool {
  const pool = new Pool({
    connectionString: url,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 10_000,
    // The statement of a release that was killed ends with it. Without this it goes on, and nobody hears how it ended.
    options: '-c client_connection_check_interval=5s',
  })
  // Whoever asks next is told; without a listener the process would end.
  pool.on('error', () => {})
  return Object.assign(pool, {
    // The pool's own way closes the connection after any error, and its locks with it. The engine's first question, on
    // an empty database, is an error: there is no table of migrations yet.
    async query(config: QueryConfig) {
      const client = await pool.connect()
      try {
        return await client.query(config)
      } finally {
        client.release()
      }
    },
  }) as Pool
}

/** What the engine says, without the places in its own source. */
export function withoutTrace(error: unknown): string {
  const [words] = (error as Error).message.split(/\n[^\S\n]+0: /)
  return words!.replace(/^external connector error\n(Error querying the database: )?/, '').trim()
}

async function openScratch(url: string): Promise<{ pool: Pool; close(): Promise<void> }> {
  await using opening = new AsyncDisposableStack()
  const database = `scratch_${randomUUID().replaceAll('-', '')}`
  const server = openSingle(url)
  opening.defer(() => server.end())
  await server.query(`CREATE DATABASE ${database} TEMPLATE template0`)
  opening.defer(async () => void (await server.query(`DROP DATABASE ${database} WITH (FORCE)`)))
  const pool = openSingle(Object.assign(new URL(url), { pathname: `/${database}` }).href)
  opening.defer(() => pool.end())
  const opened = opening.move()
  return { pool, close: () => opened.disposeAsync() }
}

async function readSchema(folder: string): Promise<Migrations['schema']> {
  const paths = (await readdir(folder)).filter((name) => name.endsWith('.prisma')).sort()
  return await Promise.all(
    paths.map(async (path) => ({ path, content: await readFile(join(folder, path), 'utf8') })),
  )
}

async function readScripts(folder: string): Promise<Map<string, string>> {
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
