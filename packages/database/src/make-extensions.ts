import { escapeIdentifier as quote } from 'pg'
import { EXTENSIONS, type AppTables } from './app-tables.ts'
import { readScripts } from './open-migrations.ts'
import { openSingle } from './open-single.ts'

/**
 * Makes the extensions that migrations ask for by `CREATE EXTENSION IF NOT EXISTS name SCHEMA extensions`, before they are applied: an
 * app's role may not make one, since each exists once in a database.
 *
 * @returns what it did, in SQL
 */
export async function makeExtensions(admin: string, apps: readonly AppTables[]): Promise<string[]> {
  const scripts = await Promise.all(apps.map(({ migrations }) => readScripts(migrations)))
  const wanted = scripts
    .flatMap((ofApp) => [...ofApp.values()])
    .flatMap((sql) => [...sql.matchAll(/^create\s+extension\s+if\s+not\s+exists\s+"?([\w-]+)"?/gim)])
    .map(([, name]) => name!)
  if (wanted.length === 0) return []
  const main = openSingle(admin)
  try {
    const { rows } = await main.query<{ name: string }>('SELECT extname AS name FROM pg_extension')
    const known = rows.map(({ name }) => name)
    const done: string[] = []
    for (const name of new Set(wanted)) {
      if (known.includes(name)) continue
      const sql = `CREATE EXTENSION IF NOT EXISTS ${quote(name)} SCHEMA ${EXTENSIONS}`
      await main.query(sql)
      done.push(sql)
    }
    return done
  } finally {
    await main.end()
  }
}
