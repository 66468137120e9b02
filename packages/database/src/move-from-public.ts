import { escapeIdentifier as quote, escapeLiteral } from 'pg'
import type { AppTables } from './app-tables.ts'
import { readScripts } from './open-migrations.ts'
import type { PromisePool } from './open-pool.ts'
import { openScratch, openSingle } from './open-single.ts'
import { roleOf } from './shares.ts'

/**
 * Moves the objects of each app from `public` to its own schema. For clones that are older than the schemas of apps. It
 * moves tables, types and functions, with all rows, and the record of applied migrations. Each app is moved once, in one
 * transaction. Nothing else may use the database meanwhile.
 *
 * To find the objects of an app, its migrations are applied to an empty scratch database.
 *
 * @returns one sentence for each app that was moved
 */
export async function moveFromPublic(admin: string, apps: readonly AppTables[]): Promise<string[]> {
  const main = openSingle(admin)
  const moved: string[] = []
  try {
    for (const { app, schema, migrations } of apps) {
      const applied = await readApplied(main)
      const scripts = [...(await readScripts(migrations))].filter(([name]) => applied.has(name))
      if (scripts.length === 0) continue
      const objects = await findObjects(admin, schema, new Map(scripts))
      const names = scripts.map(([name]) => name)
      await main.query(moveInto(schema, roleOf(new URL(admin), schema), objects, names))
      moved.push(`moved what ${app} has from the schema public to ${schema}: ${objects.length} objects`)
    }
    const left = await readApplied(main)
    if (moved.length > 0 && left.size === 0) await main.query('DROP TABLE public._prisma_migrations')
  } finally {
    await main.end()
  }
  return moved
}

interface DatabaseObject {
  /** The keyword of ALTER for it. */
  kind: string
  name: string
}

async function readApplied(main: PromisePool): Promise<Set<string>> {
  const { rows: found } = await main.query(`SELECT to_regclass('public._prisma_migrations') AS record`)
  if (found[0]!.record === null) return new Set()
  const { rows } = await main.query<{ name: string }>(
    'SELECT migration_name AS name FROM public._prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  )
  return new Set(rows.map(({ name }) => name))
}

/** The objects that these migrations make, without a table's own sequences, indexes and type, which move with the table. */
async function findObjects(
  admin: string,
  schema: string,
  scripts: ReadonlyMap<string, string>,
): Promise<DatabaseObject[]> {
  const { pool, close } = await openScratch(admin, schema)
  try {
    for (const sql of scripts.values()) await pool.query(sql)
    const { rows } = await pool.query<DatabaseObject>(`
      SELECT CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
        quote_ident(relname) AS name
      FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i') AND relkind = 'S')
      UNION ALL
      SELECT CASE prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, oid::regprocedure::text
      FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
      UNION ALL
      SELECT CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, quote_ident(typname)
      FROM pg_type WHERE typnamespace = current_schema()::regnamespace AND (typtype IN ('e', 'd', 'r')
        OR typtype = 'c' AND (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c')`)
    return rows
  } finally {
    await close()
  }
}

function moveInto(
  schema: string,
  role: string,
  objects: readonly DatabaseObject[],
  migrations: readonly string[],
): string {
  const [into, owner] = [quote(schema), quote(role)]
  const moves = objects.map(
    ({ kind, name }) => `ALTER ${kind} ${name} OWNER TO ${owner}; ALTER ${kind} ${name} SET SCHEMA ${into};`,
  )
  // Sent as a whole, it is one transaction. A function's arguments may have types that have just moved: so both are on the path.
  return `
    SET LOCAL search_path = public, ${into};
    ${moves.join('\n    ')}
    CREATE TABLE ${into}._prisma_migrations (LIKE public._prisma_migrations INCLUDING ALL);
    ALTER TABLE ${into}._prisma_migrations OWNER TO ${owner};
    WITH ours AS (
      DELETE FROM public._prisma_migrations WHERE migration_name IN (${migrations.map((name) => escapeLiteral(name)).join(', ')})
      RETURNING *
    )
    INSERT INTO ${into}._prisma_migrations SELECT * FROM ours;`
}
