import { cp, mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEmptyDatabase, pollUntil, startProcess, type TestDatabase } from '@repo/testing'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { migrate, MigrationError, readMigrationStatus, settleMigration } from '../src/migrate.ts'
import { ownFolders } from '../src/open-migrations.ts'
import { draftMigration, writeMigration } from '../src/write-migration.ts'

let database: TestDatabase
let folders: typeof ownFolders

beforeEach(async () => {
  database = await createEmptyDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'migrations-'))
  folders = { migrations: join(folder, 'migrations'), schema: join(folder, 'schema') }
  await cp(ownFolders.migrations, folders.migrations, { recursive: true })
  await cp(ownFolders.schema, folders.schema, { recursive: true })
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
  await rm(join(folders.schema, '..'), { recursive: true })
})

test('applies each migration once, in order, and records them where Prisma does', async () => {
  const names = await readdir(ownFolders.migrations)
  expect(await migrate(database.url)).toEqual(names)
  expect(await migrate(database.url)).toEqual([])
  const recorded = await ask(
    'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL ORDER BY started_at',
  )
  expect(recorded).toEqual(names.map((migration_name) => ({ migration_name })))
  expect(await readMigrationStatus(database.url)).toEqual({
    applied: names,
    pending: [],
    interrupted: [],
    edited: [],
    unknown: [],
    newest: names.at(-1),
  })
})

test('the migrations say all that the schema says', async () => {
  expect(await draftMigration(database.url)).toBeNull()
})

test('makes the database when there is none, and says so', async () => {
  const url = Object.assign(new URL(database.url), { pathname: new URL(database.url).pathname + '_new' }).href
  const lines: string[] = []
  expect(await migrate(url, { log: (line) => lines.push(line) })).not.toEqual([])
  expect(lines).toEqual([expect.stringMatching(/^made the database test_\w+_new$/)])
})

test('says what is wrong when there is no server', async () => {
  await expect(migrate('postgres://localhost:1/postgres')).rejects.toThrow(
    /^The database cannot be reached: .*ECONNREFUSED/,
  )
})

test('two releases at once apply each migration once', async () => {
  const all = await readdir(ownFolders.migrations)
  const applied = await Promise.all([1, 2, 3].map(() => migrate(database.url)))
  expect(applied.map((names) => names.length).sort()).toEqual([0, 0, all.length])
})

test('a release waits for another that takes its time, and says so', async () => {
  await addMigration('20990101000000_slow', 'SELECT pg_advisory_xact_lock(1);')
  const lines: string[] = []
  const log = (line: string) => lines.push(line)
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query('SELECT pg_advisory_lock(1)')
  const releases = [1, 2].map(() => migrate(database.url, { folders, log }))
  await pollUntil('one of them waits for the other', () => lines.length > 0)
  await client.end()

  const applied = await Promise.all(releases)
  expect(lines).toEqual(['another release is migrating this database; waiting for it'])
  expect(applied.flat().filter((name) => name.endsWith('_slow'))).toHaveLength(1)
})

test('a migration that fails leaves nothing behind, names its line, and is applied once it is corrected', async () => {
  await addMigration(
    '20990101000000_folders',
    'CREATE TABLE folders (id int);\n\nCREATE TABLE bad (id nonsense);\n',
  )
  await expect(migrate(database.url, { folders })).rejects.toThrow(
    '20990101000000_folders failed; nothing of it remains, what came before it is applied.\n' +
      '  ERROR: line 3: type "nonsense" does not exist\nCorrect its migration.sql and migrate again.',
  )
  expect(await ask("SELECT to_regclass('folders') AS found, to_regclass('users')::text AS before")).toEqual([
    { found: null, before: 'users' },
  ])
  expect(await readMigrationStatus(database.url, folders)).toMatchObject({
    pending: ['20990101000000_folders'],
    interrupted: [],
  })

  await addMigration('20990101000000_folders', 'CREATE TABLE folders (id int);')
  expect(await migrate(database.url, { folders })).toEqual(['20990101000000_folders'])
})

test('a migration that commits in its middle and then fails is not said to have left nothing', async () => {
  await addMigration('20990101000000_half', 'BEGIN; CREATE TABLE half (id int); COMMIT;\nSELECT nonsense;')
  await expect(migrate(database.url, { folders })).rejects.toThrow(/part of it may have taken effect/)
  await expect(migrate(database.url, { folders })).rejects.toThrow(/pnpm migrate undone 20990101000000_half/)
  await settleMigration(database.url, '20990101000000_half', 'done', folders)
  expect(await migrate(database.url, { folders })).toEqual([])
})

test('after kill -9 in the middle of a migration, the next release says how to go on', async () => {
  await addMigration('20990101000000_killed', 'CREATE TABLE killed (id int);\nSELECT pg_sleep(60);')
  await using release = await startProcess({
    name: 'release',
    cwd: import.meta.dirname,
    entry: 'processes/migrate.ts',
    env: { DATABASE_URL: database.url, FOLDERS: JSON.stringify(folders) },
  })
  const sleeping = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60);' AND datname = current_database()"
  const isAsleep = async () => (await ask(`SELECT ${sleeping}`)).length > 0
  await pollUntil('the migration is under way', isAsleep)
  release.kill('SIGKILL')
  await release.exited
  const isOver = async () => !(await isAsleep())
  await pollUntil('Postgres has noticed that its client is gone', isOver)

  await addMigration('20990101000000_killed', 'CREATE TABLE killed (id int);')
  await expect(migrate(database.url, { folders })).rejects.toThrow(
    /^20990101000000_killed was begun by a release that was killed/,
  )
  await settleMigration(database.url, '20990101000000_killed', 'undone', folders)
  expect(await migrate(database.url, { folders })).toEqual(['20990101000000_killed'])
})

test('only an interrupted migration can be settled', async () => {
  await migrate(database.url)
  const [first] = await readdir(ownFolders.migrations)
  await expect(settleMigration(database.url, first!, 'undone')).rejects.toThrow(
    `${first} was not interrupted.`,
  )
})

test('a migration may hold functions, semicolons and all', async () => {
  await addMigration(
    '20990101000000_function',
    "CREATE FUNCTION one() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN length(';'); END; $$;",
  )
  await migrate(database.url, { folders })
  expect(await ask('SELECT one()')).toEqual([{ one: 1 }])
})

test('a migration that was edited after it was applied is told apart', async () => {
  await migrate(database.url, { folders })
  const [first] = await readdir(folders.migrations)
  await addMigration(first!, '-- nothing')
  expect(await readMigrationStatus(database.url, folders)).toMatchObject({ edited: [first] })
})

test('writes what the schema says and the migrations do not, and nothing else', async () => {
  await writeFile(
    join(folders.schema, 'orders.prisma'),
    'model Order {\n  id String @id\n  @@map("orders")\n}\n',
  )
  const file = await writeMigration(database.url, 'orders', { folders })
  expect(file).toMatch(/\/\d{14}_orders\/migration\.sql$/)
  expect(await readFile(file, 'utf8')).toBe(
    '-- CreateTable\nCREATE TABLE "orders" (\n    "id" TEXT NOT NULL,\n\n    CONSTRAINT "orders_pkey" PRIMARY KEY ("id")\n);\n',
  )
  await expect(writeMigration(database.url, 'again', { folders })).rejects.toThrow(
    /there is nothing to write/,
  )
  await expect(writeMigration(database.url, '../etc', { folders })).rejects.toThrow(MigrationError)
  expect(await ask("SELECT datname FROM pg_database WHERE datname LIKE 'scratch%'")).toEqual([])
})

async function addMigration(name: string, sql: string): Promise<void> {
  await mkdir(join(folders.migrations, name), { recursive: true })
  await writeFile(join(folders.migrations, name, 'migration.sql'), sql)
}

test('a role that may make no scratch database is told so, and no connection stays open', async () => {
  const role = `scratchless_${Date.now()}`
  await ask(
    `CREATE ROLE ${role} LOGIN PASSWORD '${new URL(database.url).password}'; GRANT ALL ON SCHEMA public TO ${role}`,
  )
  const url = Object.assign(new URL(database.url), { username: role }).href
  try {
    await expect(draftMigration(url, folders)).rejects.toThrow('permission denied to create database')
    await pollUntil('its connections are closed', async () => {
      return (await ask(`SELECT FROM pg_stat_activity WHERE usename = '${role}'`)).length === 0
    })
  } finally {
    await ask(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})

async function ask(sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
