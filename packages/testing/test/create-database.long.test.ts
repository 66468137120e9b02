import { Client } from 'pg'
import { expect, test } from 'vitest'
import { createDatabase, createEmptyDatabase, databasePrefix, query } from '../src/create-database.ts'

test('each one is migrated, and nobody else sees what is written to it', async () => {
  await using first = await createDatabase('sessions')
  await using second = await createDatabase('sessions')
  await query(first.url, 'CREATE TABLE sessions.mine (id int)')
  const tables = `SELECT count(*) FILTER (WHERE tablename = 'mine') AS mine, count(*) FILTER
    (WHERE tablename = '_prisma_migrations') > 0 AS "isMigrated" FROM pg_tables`
  expect(await query(first.admin, tables)).toEqual([{ mine: '1', isMigrated: true }])
  expect(await query(second.admin, tables)).toEqual([{ mine: '0', isMigrated: true }])
})

test('who it is made for is no more than that', async () => {
  await using database = await createDatabase('sessions')
  await expect(query(database.url, 'CREATE SCHEMA mine')).rejects.toThrow('permission denied')
})

test('many at once share one template', async () => {
  const databases = await Promise.all(Array.from({ length: 5 }, () => createDatabase('sessions')))
  expect(new Set(databases.map(({ url }) => url)).size).toBe(5)
  const templates = `SELECT datname FROM pg_database WHERE datistemplate AND datname LIKE '${databasePrefix()}%'`
  expect(await query(databases[0]!.url, templates)).toEqual([{ datname: `${databasePrefix()}template` }])
  await Promise.all(databases.map((database) => database[Symbol.asyncDispose]()))
})

test('a disposed one is gone, whoever was connected to it, and its roles with it', async () => {
  const database = await createEmptyDatabase()
  const role = `${new URL(database.url).pathname.slice(1)}_orders`
  await query(database.url, `CREATE ROLE ${role}`)
  const client = new Client({ connectionString: database.url })
  const disconnected = new Promise((resolve) => client.on('error', resolve))
  await client.connect()
  await database[Symbol.asyncDispose]()
  await disconnected
  await expect(query(database.url, 'SELECT 1')).rejects.toThrow('does not exist')
  await using other = await createEmptyDatabase()
  expect(await query(other.url, `SELECT FROM pg_roles WHERE rolname = '${role}'`)).toEqual([])
})
