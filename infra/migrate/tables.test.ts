import { globSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { listAppTables, tablesOf } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { draftMigration } from '@repo/database/write-migration'
import { createEmptyDatabase } from '@repo/testing'
import { shareUrl as shareUrlOfTests } from '@repo/testing/create-database'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const templates = globSync('infra/generator/templates/*/migrations', { cwd: root }).map((folder) => ({
  ...tablesOf(join(root, folder, '..')),
  app: `the template ${basename(join(folder, '..'))}`,
}))

test.each([...listAppTables(join(root, 'apps')), ...templates])(
  'the migrations say all that the schema says: $app',
  async (tables) => {
    await using database = await createEmptyDatabase()
    expect(await draftMigration(database.url, tables)).toBeNull()
  },
)

test('tests find the roles that the release makes', () => {
  const admin = 'postgres://somebody:a%20secret@host:5433/one'
  for (const name of ['orders', 'back-orders', 'sessions'])
    expect(shareUrlOfTests(admin, name)).toBe(shareUrl(admin, name))
})
