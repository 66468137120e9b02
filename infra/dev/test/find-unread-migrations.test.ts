import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tablesOf, urlVariableOf } from '@repo/database/app-tables'
import { migrate } from '@repo/database/migrate'
import { createEmptyDatabase } from '@repo/testing'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { afterEach, expect, test, vi } from 'vitest'
import { findUnreadMigrations } from '../find-unread-migrations.ts'

afterEach(() => void vi.unstubAllEnvs())

test('what may lose data is asked about until it is applied, also in an app with a database of its own', async () => {
  await using folder = await openTemporaryFolder('unread')
  const app = join(folder.path, 'apps/orders')
  const migration = join(app, 'migrations/20260101000000_less')
  await mkdir(migration, { recursive: true })
  await writeFile(
    join(app, 'package.json'),
    JSON.stringify({ processes: { orders: { entry: 'src/server.ts', needs: ['database'] } } }),
  )
  await writeFile(
    join(migration, 'migration.sql'),
    'CREATE TABLE orders (id int, note text);\nALTER TABLE orders DROP COLUMN note;\n',
  )
  await using ofAll = await createEmptyDatabase()
  await using own = await createEmptyDatabase()
  vi.stubEnv(urlVariableOf('orders'), own.url)

  expect(await findUnreadMigrations(folder.path, ofAll.url)).toMatch(
    /^No migration is applied.*\n.*drop column note/,
  )
  await migrate(own.url, tablesOf(app))
  expect(await findUnreadMigrations(folder.path, ofAll.url)).toBeUndefined()
})
