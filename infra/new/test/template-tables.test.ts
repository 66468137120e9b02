import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createEmptyDatabase } from '@repo/testing'
import { draftMigration } from '@repo/database/write-migration'
import { expect, test } from 'vitest'

const SCHEMA = resolve(import.meta.dirname, '../../../packages/database/schema')

test.each(['any-name', 'own-name'])(
  'the first migration of a service makes what its schema says: %s',
  async (name) => {
    await using database = await createEmptyDatabase()
    const folder = await mkdtemp(join(tmpdir(), 'tables-'))
    try {
      const folders = { schema: join(folder, 'schema'), migrations: join(folder, 'migrations') }
      await mkdir(join(folders.migrations, '20260101000000_first'), { recursive: true })
      await cp(join(SCHEMA, 'database.prisma'), join(folders.schema, 'database.prisma'))
      await cp(join(SCHEMA, 'templates', `${name}.prisma`), join(folders.schema, `${name}.prisma`))
      const drafted = await draftMigration(database.url, folders).catch(() => 'nothing to start from')
      expect(drafted).not.toBeNull()

      const first = join(folders.migrations, '20260101000000_first/migration.sql')
      await cp(join(SCHEMA, 'templates', `${name}.sql`), first)
      expect(await draftMigration(database.url, folders)).toBeNull()
    } finally {
      await rm(folder, { recursive: true })
    }
  },
)

test('the tables of templates are in no migration of the house', async () => {
  const names = await readdir(resolve(SCHEMA, '../migrations'))
  expect(names.length).toBeGreaterThan(0)
  expect(names.filter((name) => /(any|own)_name/.test(name))).toEqual([])
  await using database = await createEmptyDatabase()
  expect(await draftMigration(database.url)).toBeNull()
})
