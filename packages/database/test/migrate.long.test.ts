import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createEmptyDatabase, pollUntil, query, startProcess } from '@repo/testing'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  makeExtensions,
  migrate,
  MigrationError,
  readMigrationStatus,
  settleMigration,
} from '../src/migrate.ts'
import { makeDatabase, makeShares, shareUrl } from '../src/shares.ts'
import { draftMigration, writeMigration } from '../src/write-migration.ts'
import { openLibrary, type Library } from './open-library.ts'

let library: Library

beforeEach(async () => {
  library = await openLibrary()
})
afterEach(() => library[Symbol.asyncDispose]())

test('applies each migration once, in order, and records them where Prisma does', async () => {
  const names = await readdir(library.tables.migrations)
  expect(await migrate(library.url, library.tables)).toEqual(names)
  expect(await migrate(library.url, library.tables)).toEqual([])
  const recorded = await library.query(
    'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY started_at',
  )
  expect(recorded).toEqual(names.map((migration_name) => ({ migration_name })))
  expect(await readMigrationStatus(library.url, library.tables)).toEqual({
    applied: names,
    pending: [],
    interrupted: [],
    edited: [],
    unknown: [],
    newest: names.at(-1),
  })
})

test('the migrations say all that the schema says', async () => {
  expect(await draftMigration(library.admin, library.tables)).toBeNull()
})

test('makes the database when there is none, and says so', async () => {
  await using server = await createEmptyDatabase()
  const url = Object.assign(new URL(server.url), { pathname: `${new URL(server.url).pathname}_new` }).href
  const lines: string[] = []
  await makeDatabase(url, (line) => lines.push(line))
  await makeDatabase(url, (line) => lines.push(line))
  expect(lines).toEqual([expect.stringMatching(/^made the database test_\w+_new$/)])
  expect(await query(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('says what is wrong when there is no server', async () => {
  await expect(makeDatabase('postgres://localhost:1/postgres', () => {})).rejects.toThrow(
    /^The database cannot be reached: .*ECONNREFUSED/,
  )
})

test('two releases at once apply each migration once', async () => {
  const all = await readdir(library.tables.migrations)
  const applied = await Promise.all([1, 2, 3].map(() => migrate(library.url, library.tables)))
  expect(applied.map((names) => names.length).sort()).toEqual([0, 0, all.length])
})

test('a release waits for another that takes its time, and says so', async () => {
  await addMigration('20990101000000_slow', 'SELECT pg_advisory_xact_lock(1);')
  const lines: string[] = []
  const log = (line: string) => lines.push(line)
  const client = new Client({ connectionString: library.url })
  await client.connect()
  await client.query('SELECT pg_advisory_lock(1)')
  const releases = [1, 2].map(() => migrate(library.url, library.tables, { log }))
  await pollUntil('one of them waits for the other', () => lines.length > 0)
  await client.end()

  const applied = await Promise.all(releases)
  expect(lines).toEqual(['another release is migrating library; waiting for it'])
  expect(applied.flat().filter((name) => name.endsWith('_slow'))).toHaveLength(1)
})

test('a migration that fails leaves nothing behind, names its line, and is applied once it is corrected', async () => {
  await addMigration(
    '20990101000000_folders',
    'CREATE TABLE folders (id int);\n\nCREATE TABLE bad (id nonsense);\n',
  )
  await expect(migrate(library.url, library.tables)).rejects.toThrow(
    '20990101000000_folders failed; nothing of it remains, what came before it is applied.\n' +
      '  ERROR: line 3: type "nonsense" does not exist\nCorrect its migration.sql and migrate again.',
  )
  expect(
    await library.query("SELECT to_regclass('folders') AS found, to_regclass('users')::text AS before"),
  ).toEqual([{ found: null, before: 'users' }])
  expect(await readMigrationStatus(library.url, library.tables)).toMatchObject({
    pending: ['20990101000000_folders'],
    interrupted: [],
  })

  await addMigration('20990101000000_folders', 'CREATE TABLE folders (id int);')
  expect(await migrate(library.url, library.tables)).toEqual(['20990101000000_folders'])
})

test('a migration that commits in its middle and then fails is not said to have left nothing', async () => {
  await addMigration('20990101000000_half', 'BEGIN; CREATE TABLE half (id int); COMMIT;\nSELECT nonsense;')
  await expect(migrate(library.url, library.tables)).rejects.toThrow(/part of it may have taken effect/)
  await expect(migrate(library.url, library.tables)).rejects.toThrow(
    /pnpm migrate undone 20990101000000_half/,
  )
  await settleMigration(library.url, library.tables, '20990101000000_half', 'done')
  expect(await migrate(library.url, library.tables)).toEqual([])
})

test('after kill -9 in the middle of a migration, the next release says how to go on', async () => {
  await addMigration('20990101000000_killed', 'CREATE TABLE killed (id int);\nSELECT pg_sleep(60);')
  await using release = await startProcess({
    name: 'release',
    cwd: import.meta.dirname,
    entry: 'processes/migrate.ts',
    env: { DATABASE_URL: library.url, TABLES: JSON.stringify(library.tables) },
  })
  const sleeping = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60);' AND datname = current_database()"
  const isAsleep = async () => (await library.query(`SELECT ${sleeping}`)).length > 0
  await pollUntil('the migration is under way', isAsleep)
  release.kill('SIGKILL')
  await release.exited
  const isOver = async () => !(await isAsleep())
  await pollUntil('Postgres has noticed that its client is gone', isOver)

  await addMigration('20990101000000_killed', 'CREATE TABLE killed (id int);')
  await expect(migrate(library.url, library.tables)).rejects.toThrow(
    /^20990101000000_killed was begun by a release that was killed/,
  )
  await settleMigration(library.url, library.tables, '20990101000000_killed', 'undone')
  expect(await migrate(library.url, library.tables)).toEqual(['20990101000000_killed'])
})

test('only an interrupted migration can be settled', async () => {
  await migrate(library.url, library.tables)
  const [first] = await readdir(library.tables.migrations)
  await expect(settleMigration(library.url, library.tables, first!, 'undone')).rejects.toThrow(
    `${first} was not interrupted.`,
  )
})

test('a migration may hold functions, semicolons and all', async () => {
  await addMigration(
    '20990101000000_function',
    "CREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN length(';'); END; $$;",
  )
  await migrate(library.url, library.tables)
  expect(await library.query('SELECT one()')).toEqual([{ one: 1 }])
})

test('a migration that was edited after it was applied is told apart', async () => {
  await migrate(library.url, library.tables)
  const [first] = await readdir(library.tables.migrations)
  await addMigration(first!, '-- nothing')
  expect(await readMigrationStatus(library.url, library.tables)).toMatchObject({ edited: [first] })
})

test('writes what the schema says and the migrations do not, and nothing else', async () => {
  const { admin, tables } = library
  const schema = await readFile(tables.models, 'utf8')
  await writeFile(tables.models, `${schema}\nmodel Order {\n  id String @id\n  @@map("orders")\n}\n`)
  const file = await writeMigration(admin, tables, 'orders')
  expect(file).toMatch(/\/\d{14}_orders\/migration\.sql$/)
  expect(await readFile(file, 'utf8')).toBe(
    '-- CreateTable\nCREATE TABLE "orders" (\n    "id" TEXT NOT NULL,\n\n    CONSTRAINT "orders_pkey" PRIMARY KEY ("id")\n);\n',
  )
  await expect(writeMigration(admin, tables, 'again')).rejects.toThrow(/there is nothing to write/)
  await expect(writeMigration(admin, tables, '../etc')).rejects.toThrow(MigrationError)
  expect(await library.query("SELECT datname FROM pg_database WHERE datname LIKE 'scratch%'")).toEqual([])
})

async function addMigration(name: string, sql: string): Promise<void> {
  await mkdir(join(library.tables.migrations, name), { recursive: true })
  await writeFile(join(library.tables.migrations, name, 'migration.sql'), sql)
}

test('a role that may make no scratch database is told so, and no connection stays open', async () => {
  await expect(draftMigration(library.url, library.tables)).rejects.toThrow(
    'permission denied to create database',
  )
  const user = new URL(library.url).username
  await pollUntil('its connections are closed', async () => {
    const found = await query(library.admin, `SELECT FROM pg_stat_activity WHERE usename = '${user}'`)
    return found.length === 0
  })
})

test('an extension that a migration asks for is made for all apps, by whoever may', async () => {
  await addMigration(
    '20990101000000_search',
    'CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions;\nCREATE INDEX by_part ON users USING gin (email gin_trgm_ops);',
  )
  await expect(migrate(library.url, library.tables)).rejects.toThrow(/permission denied to create extension/)
  const made = ['CREATE EXTENSION IF NOT EXISTS "pg_trgm" SCHEMA extensions']
  expect(await makeExtensions(library.admin, [library.tables])).toEqual(made)
  expect(await makeExtensions(library.admin, [library.tables])).toEqual([])
  expect(await migrate(library.url, library.tables)).toEqual(['20990101000000_search'])
})

test('a migration of one app that takes its time, fails or is interrupted keeps no other app from its own', async () => {
  await using other = await openLibrary()
  const shelf = { ...other.tables, app: 'shelf', schema: 'shelf' }
  const url = shareUrl(library.admin, 'shelf')
  await makeShares(library.admin, [{ name: 'shelf', schemas: ['shelf'], url }])
  await addMigration('20990101000000_half', 'BEGIN; CREATE TABLE half (id int); COMMIT;\nSELECT nonsense;')
  await expect(migrate(library.url, library.tables)).rejects.toThrow(/part of it may have taken effect/)
  const holder = new Client({ connectionString: library.url })
  await holder.connect()
  await holder.query(`SELECT pg_advisory_lock(hashtext('migrations'), hashtext('library'))`)
  expect(await migrate(url, shelf)).toHaveLength(1)
  expect(await migrate(url, shelf)).toEqual([])
  await holder.end()
})
