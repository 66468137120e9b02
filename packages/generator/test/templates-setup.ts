/* oxlint-disable node/no-process-env -- how vitest-setup.ts in packages/testing hands on the databases of a run */
import { readFile } from 'node:fs/promises'
import { createDatabase } from '@repo/testing'
import { Client } from 'pg'

const SCHEMA = new URL('../../database/schema/templates/', import.meta.url)

/**
 * The migrations of a template are applied where it is tested, and nowhere else: to the database that all others of
 * this run are cloned from.
 */
export async function setup(): Promise<() => Promise<void>> {
  const server = process.env.DATABASE_URL!
  const migrated = await createDatabase()
  // Two templates are tested at once, and each drops what it has made.
  process.env.TEST_RUN_ID += `_templates_${process.pid}`
  await query(migrated.url, await readFile(new URL('any-name.sql', SCHEMA), 'utf8'))
  await query(migrated.url, await readFile(new URL('own-name.sql', SCHEMA), 'utf8'))
  const template = `test_${process.env.TEST_RUN_ID}_template`
  const name = new URL(migrated.url).pathname.slice(1)
  await query(server, `ALTER DATABASE ${name} RENAME TO ${template}`)
  return () => query(server, `DROP DATABASE ${template} WITH (FORCE)`)
}

async function query(url: string, sql: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
