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

export type { SchemaEngine }

/** What the engine works on. Each pool has one connection, so that what it sets and locks holds for all it asks. */
export interface EngineDatabases {
  main: Pool
  /** The schema that is the app's, in this database and in scratch ones. */
  schema: string
  /** Opens an empty database, which the engine fills with the migrations to see where they lead. */
  openScratch(): Promise<{ pool: Pool; close(): Promise<void> }>
}

/**
 * Prisma's own schema engine, compiled to WebAssembly: the one that `prisma migrate` downloads, without the download.
 * It reads and writes the ordinary `_prisma_migrations` table.
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

// Prisma's adapter, but for two things that it does not do for the engine's sake.
async function adapt(pool: Pool, schema: string): Promise<SqlDriverAdapter> {
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
  const adapter = await new PrismaPg(reading, { schema }).connect()
  const queryRaw = adapter.queryRaw.bind(adapter)

  return Object.assign(adapter, {
    // The catalogues of Postgres have columns of its internal type "char", which the adapter refuses. So it is told
    // that they are text, and the engine what they are. They are the last query's: the engine asks one at a time.
    async queryRaw(question: SqlQuery) {
      const result = await queryRaw(question)
      for (const i of internalChars) result.columnTypes[i] = ColumnTypeEnum.Character
      return result
    },
    // The adapter cuts a script at every semicolon, also inside a function's body, and commits piece by piece. Sent
    // whole, it is one transaction, unless it says otherwise itself: a migration that fails has changed nothing.
    executeScript: (sql: string) =>
      query({ text: sql }).then(
        () => {},
        (error) => rethrow(error, sql),
      ),
  })
}

// Postgres's numbers of the types "char" and text.
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

// share-nothing: once in a process, since the glue has room for one instance, and a second would take the first one's
// place in mid-work.
let loaded: ReturnType<typeof loadEngine> | undefined

async function loadEngine() {
  // Where the engine puts its last words before it traps, which says nothing by itself.
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: {
      set_message(words: string) {
        throw new Error(`The schema engine panicked: ${words}`)
      },
    },
  })
  // The package's own entry imports the .wasm file as a module, which Node calls experimental on stderr.
  const glue = await import('@prisma/schema-engine-wasm/schema_engine_bg')
  // Named as a file, so that a bundle carries it along.
  const wasm = await readFile(
    new URL('../node_modules/@prisma/schema-engine-wasm/schema_engine_bg.wasm', import.meta.url),
  )
  const { instance } = await WebAssembly.instantiate(wasm, { './schema_engine_bg.js': glue as never })
  glue.__wbg_set_wasm(instance.exports)
  ;(instance.exports['__wbindgen_start'] as () => void)()
  return glue
}
