import { randomUUID } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Pool } from 'pg'
import { openSchemaEngine, type SchemaEngine } from './schema-engine.ts'

const migrationsFolder = fileURLToPath(new URL('../migrations', import.meta.url))
const schemaFolder = fileURLToPath(new URL('../schema', import.meta.url))
const filters = { externalTables: [], externalEnums: [] }

/** Applies what the database does not have yet, in order. Resolves to the names of what was applied. */
export async function migrate(url: string): Promise<string[]> {
  return await withEngine(url, async (engine) => {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: await listMigrations(),
      filters,
    })
    return appliedMigrationNames
  })
}

/** The SQL that leads from the migrations to the schema files, or null when they agree. */
export async function draftMigration(url: string): Promise<string | null> {
  return await withEngine(url, async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'migrations', ...(await listMigrations()) },
      to: { tag: 'schemaDatamodel', files: await readSchema() },
      script: true,
      exitCode: true,
      filters,
    })
    return stdout?.startsWith('-- This is an empty migration') ? null : stdout
  })
}

async function withEngine<T>(url: string, use: (engine: SchemaEngine) => Promise<T>): Promise<T> {
  const main = openPool(url)
  const engine = await openSchemaEngine(await readSchema(), { main, openScratch: () => openScratch(url) })
  try {
    return await use(engine)
  } finally {
    engine.free()
    await main.end()
  }
}

function openPool(url: string): Pool {
  return new Pool({ connectionString: url, max: 1, idleTimeoutMillis: 0, connectionTimeoutMillis: 10_000 })
}

async function openScratch(url: string): Promise<{ pool: Pool; close(): Promise<void> }> {
  const database = `scratch_${randomUUID()}`
  const server = openPool(url)
  await server.query(`CREATE DATABASE "${database}"`)
  const pool = openPool(Object.assign(new URL(url), { pathname: `/${database}` }).href)
  return {
    pool,
    async close() {
      await pool.end()
      await server.query(`DROP DATABASE "${database}" WITH (FORCE)`)
      await server.end()
    },
  }
}

async function listMigrations() {
  const entries = await readdir(migrationsFolder, { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  return {
    baseDir: migrationsFolder,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.sort().map(async (path) => ({
        path,
        migrationFile: {
          path: 'migration.sql',
          content: {
            tag: 'ok' as const,
            value: await readFile(`${migrationsFolder}/${path}/migration.sql`, 'utf8'),
          },
        },
      })),
    ),
  }
}

async function readSchema(): Promise<{ path: string; content: string }[]> {
  const names = (await readdir(schemaFolder)).filter((name) => name.endsWith('.prisma'))
  return await Promise.all(
    names.sort().map(async (path) => ({ path, content: await readFile(`${schemaFolder}/${path}`, 'utf8') })),
  )
}
