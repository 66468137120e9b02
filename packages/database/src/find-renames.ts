/** A column or a table that a draft drops, and one like it that it adds: likely the same under another name. */
export interface Rename {
  /** The table whose column it is; undefined when it is a table. */
  table?: string
  from: string
  to: string
}

/**
 * Pairs what a draft drops with what it adds of the same kind: a column of the same type in the same table, a table with
 * the same columns. `backward` is the draft of the other direction, which says what the dropped ones looked like. Where
 * one could be any of several, each pair is named.
 */
export function findLikelyRenames(forward: string, backward: string): Rename[] {
  const [added, dropped] = [readAdditions(forward), readAdditions(backward)]
  return dropped.flatMap((old) =>
    added
      .filter(({ table, shape }) => table === old.table && shape === old.shape)
      .map(({ table, name }) => ({ ...(table !== undefined && { table }), from: old.name, to: name })),
  )
}

/** The statement that renames, for Postgres. */
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

/** As Prisma's engine writes them: a clause a line, names in quotes. */
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
