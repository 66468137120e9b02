import { readFile } from 'node:fs/promises'
import { PrismaPg } from '@prisma/adapter-pg'
import {
  ColumnTypeEnum,
  bindMigrationAwareSqlAdapterFactory,
  type SqlDriverAdapter,
  type SqlQuery,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils'
import type { SchemaEngine } from '@prisma/schema-engine-wasm'
import type { Pool, QueryConfig, QueryResult } from 'pg'

export type { SchemaEngine }

// Postgres's numbers for the types "char" and text.
const internalChar = 18
const text = 25

/** What the engine may hold while it works: one connection to the database, and one to a scratch copy of it. */
export interface EngineConnections {
  main: Pool
  /** Opens an empty database, which the engine fills with the migrations to see where they lead. */
  openScratch?: () => Promise<{ pool: Pool; close(): Promise<void> }>
}

/**
 * Prisma's own schema engine, compiled to WebAssembly: the one that `prisma migrate` downloads, without the download.
 * It reads and writes the ordinary `_prisma_migrations` table.
 */
export async function openSchemaEngine(
  schema: { path: string; content: string }[],
  { main, openScratch }: EngineConnections,
): Promise<SchemaEngine> {
  const adapters: SqlMigrationAwareDriverAdapterFactory = {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: () => adapt(main),
    connectToShadowDb: async () => {
      if (openScratch === undefined) throw new Error('This use of the schema engine has no scratch database')
      const scratch = await openScratch()
      return Object.assign(await adapt(scratch.pool), { dispose: scratch.close })
    },
  }
  const { SchemaEngine } = await loadEngine()
  return SchemaEngine.new(
    { datamodels: schema.map(({ path, content }) => [path, content]) },
    () => {},
    bindMigrationAwareSqlAdapterFactory(adapters),
  )
}

async function adapt(pool: Pool): Promise<SqlDriverAdapter> {
  let internalChars = new Set<number>()
  const query = pool.query.bind(pool) as (config: QueryConfig) => Promise<QueryResult>
  Object.assign(pool, {
    query: async (config: QueryConfig) => {
      const result = await query(config)
      const fields = result.fields ?? []
      internalChars = new Set(fields.keys().filter((index) => fields[index]?.dataTypeID === internalChar))
      for (const index of internalChars) fields[index]!.dataTypeID = text
      return result
    },
  })
  const adapter = await new PrismaPg(pool).connect()
  const queryRaw = adapter.queryRaw.bind(adapter)
  return Object.assign(adapter, {
    // The engine reads "char" columns of the system catalogues, which the adapter refuses: it is told that they are
    // text, and the engine what they are. The engine asks one thing after the other, so they are the last query's.
    queryRaw: async (query: SqlQuery) => {
      const result = await queryRaw(query)
      const columnTypes = result.columnTypes.map((type, index) =>
        internalChars.has(index) ? ColumnTypeEnum.Character : type,
      )
      return { ...result, columnTypes }
    },
    // The adapter's own way cuts a script at every semicolon, also inside a function's body, and commits piece by
    // piece. Sent whole, Postgres parses it and runs it as one transaction: a migration that fails has changed nothing.
    executeScript: async (sql: string) => void (await adapter.executeRaw({ sql, args: [], argTypes: [] })),
  })
}

// The package's own entry imports the .wasm file as a module, which Node calls experimental on stderr.
async function loadEngine() {
  const name = '@prisma/schema-engine-wasm/schema_engine_bg'
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  const wasm = await readFile(new URL(import.meta.resolve(name).replace(/\.js$/, '.wasm')))
  const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': glue as never })
  glue.__wbg_set_wasm(instance.exports)
  ;(instance.exports['__wbindgen_start'] as () => void)()
  return glue
}
