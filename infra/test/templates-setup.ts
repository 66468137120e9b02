import { basename } from 'node:path'
import { schemasOf, tablesOf } from '@repo/database/app-tables'
import { migrate } from '@repo/database/migrate'
import { makeShares, shareUrl } from '@repo/database/shares'
import { migrateQueue } from '@repo/queue'
import { dropDatabases, openTemplate } from '@repo/testing/create-database'
import type { TestProject } from 'vitest/node'

/**
 * Makes the tables of a template of `pnpm new`, only for its own tests: in the database from which all others of this run
 * are cloned. The name of the template's folder is used as the name of its app.
 */
export async function setup({ config }: TestProject): Promise<() => Promise<void>> {
  // Several templates are tested at the same time, and each drops what it has made.
  process.env.TEST_RUN_ID += `_${process.pid}`
  const folder = config.root
  const { processes } = (await import(`${folder}/package.json`, { with: { type: 'json' } })).default
  const name = Object.keys(processes)[0]!.replace(/-worker$/, '')
  await openTemplate(async (admin) => {
    const tables = { ...tablesOf(folder, true), schema: tablesOf(name).schema }
    const url = shareUrl(admin, basename(folder))
    await makeShares(admin, [{ name: tablesOf(folder).schema, schemas: schemasOf(tables), url }])
    await migrate(url, tables)
    // keep: queue
    await migrateQueue(url, `${tables.schema}_queue`)
    // /keep
  })
  return dropDatabases
}
