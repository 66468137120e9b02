import { readFile } from 'node:fs/promises'
import { PrismaPg } from '@prisma/adapter-pg'
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlQuery,
} from '@prisma/driver-adapter-utils'
import type { SchemaEngine } from '@prisma/schema-engine-wasm'
import type { DatabaseError, Pool, QueryConfig, QueryResult } from 'pg'
import type { PromisePool } from './open-pool.ts'

export type { SchemaEngine }

/** The databases of the engine. Each pool has one connection, so that its settings and locks apply to all its queries. */
export interface EngineDatabases {
  main: PromisePool
  /** The app's schema, in this database and in scratch databases. */
  schema: string
  /** Opens an empty database, to which the engine applies the migrations to see their result. */
  openScratch(): Promise<{ pool: PromisePool; close(): Promise<void> }>
}

/**
 * Opens Prisma's own schema engine, compiled to WebAssembly: the engine of `prisma migrate`, without its download. It uses
 * the ordinary table `_prisma_migrations`.
 */
export async function openSchemaEngine(
  models: { path: string; content: string }[],
  { main, schema: appSchema, openScratch }: EngineDatabases,
): Promise<SchemaEngine> {
  const adapters: SqlMigrationAwareDriverAdapterFactory = {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: () => adapt(main, appSchema),
    connectToShadowDb: async () => {
      const scratch = await openScratch()
      try {
        return Object.assign(await adapt(scratch.pool, appSchema), { dispose: scratch.close })
      } catch (error) {
        await scratch.close()
        throw error
      }
    },
  }
  loaded ??= loadEngine()
  const { SchemaEngine } = await loaded
  return SchemaEngine.new(
    { datamodels: models.map(({ path, content }) => [path, content]) },
    () => {},
    bindMigrationAwareSqlAdapterFactory(adapters),
  )
}

// Prisma's adapter, with two changes that the engine needs.
async function adapt(pool: PromisePool, schema: string): Promise<SqlDriverAdapter> {
  let internalChars = new Set<number>()
  const query = pool.query.bind(pool) as (
    config: QueryConfig | string,
    values?: unknown[],
  ) => Promise<QueryResult>
  const reading = Object.assign(pool, {
    async query(config: QueryConfig | string, values?: unknown[]) {
      const result = await query(config, values)
      internalChars = new Set(
        result.fields.keys().filter((i) => result.fields[i]?.dataTypeID === internalChar),
      )
      for (const i of internalChars) result.fields[i]!.dataTypeID = text
      return result
    },
  })
  const adapter = await new PrismaPg(reading as Pool, { schema }).connect()
  const queryRaw = adapter.queryRaw.bind(adapter)

  return Object.assign(adapter, {
    // The system catalogs have columns of the internal type "char", which the adapter refuses. So it is told that they are
    // text, and the engine that they are "char". They are those of the last query: the engine sends one at a time.
    async queryRaw(question: SqlQuery) {
      const result = await queryRaw(question)
      for (const i of internalChars) result.columnTypes[i] = ColumnTypeEnum.Character
      return result
    },
    // The adapter splits a script at every semicolon, even inside a function's body, and commits each piece. Sent as a
    // whole, a script is one transaction, unless it contains transaction commands: a failed migration has changed nothing.
    executeScript: (sql: string) =>
      query({ text: sql }).then(
        () => {},
        (error) => rethrow(error, sql),
      ),
  })
}

// The OIDs of the types "char" and text.
const internalChar = 18
const text = 25

function rethrow(error: DatabaseError, sql: string): never {
  const { code, severity, message, detail, column, hint, position } = error
  if (code === undefined || severity === undefined) throw error
  const line = position === undefined ? '' : `line ${sql.slice(0, Number(position)).split('\n').length}: `
  throw new DriverAdapterError({
    kind: 'postgres',
    code,
    severity,
    message: line + message,
    detail,
    column,
    hint,
  })
}

// share-nothing: once in a process, because the glue code holds one instance, and a second would replace it during its work.
let loaded: ReturnType<typeof loadEngine> | undefined

async function loadEngine() {
  // The engine puts its panic message here before it traps. The trap itself has no message.
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: {
      set_message(words: string) {
        throw new Error(`The schema engine panicked: ${words}`)
      },
    },
  })
  // The package's own entry imports the .wasm file as a module, for which Node prints an experimental warning.
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  // As a file URL, so that a bundle includes the file.
  const wasm = await readFile(
    new URL('../node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm', import.meta.url),
  )
  const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': glue as never })
  glue.__wbg_set_wasm(instance.exports)
  ;(instance.exports['__wbindgen_start'] as () => void)()
  return glue
}
