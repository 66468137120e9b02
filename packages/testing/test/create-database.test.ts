import { Client } from 'pg'
import { expect, test } from 'vitest'
import { createDatabase, createEmptyDatabase, databasePrefix } from '../src/create-database.ts'

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('each one is migrated, and nobody else sees what is written to it', async () => {
  await using first = await createDatabase()
  await using second = await createDatabase()
  await query(first.url, 'CREATE TABLE mine (id int)')
  const tables = `SELECT count(*) FILTER (WHERE tablename = 'mine') AS mine, count(*) FILTER
    (WHERE tablename = '_prisma_migrations') AS migrations FROM pg_tables`
  expect(await query(first.url, tables)).toEqual([{ mine: '1', migrations: '1' }])
  expect(await query(second.url, tables)).toEqual([{ mine: '0', migrations: '1' }])
})

test('many at once share one template', async () => {
  const databases = await Promise.all(Array.from({ length: 5 }, () => createDatabase()))
  expect(new Set(databases.map(({ url }) => url)).size).toBe(5)
  const templates = `SELECT datname FROM pg_database WHERE datistemplate AND datname LIKE '${databasePrefix()}%'`
  expect(await query(databases[0]!.url, templates)).toEqual([{ datname: `${databasePrefix()}template` }])
  await Promise.all(databases.map((database) => database[Symbol.asyncDispose]()))
})

test('a disposed one is gone, whoever was connected to it', async () => {
  const database = await createEmptyDatabase()
  const client = new Client({ connectionString: database.url })
  const disconnected = new Promise((resolve) => client.on('error', resolve))
  await client.connect()
  await database[Symbol.asyncDispose]()
  await disconnected
  await expect(query(database.url, 'SELECT 1')).rejects.toThrow('does not exist')
})
