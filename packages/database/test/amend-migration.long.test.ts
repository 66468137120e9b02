import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEmptyDatabase, type TestDatabase } from '@repo/testing'
import { Client } from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amendMigration } from '../src/amend-migration.ts'
import type { Rename } from '../src/find-renames.ts'
import { migrate, MigrationError, resetDatabase } from '../src/migrate.ts'
import { ownFolders, type Folders } from '../src/open-migrations.ts'
import { draftMigration, writeMigration } from '../src/write-migration.ts'

// A schema of its own, as a team's first day has it.

const BOOK = ['id Int @id', 'title String', 'pages Int?', '@@index([title])']
let database: TestDatabase
let folders: Folders

beforeEach(async () => {
  database = await createEmptyDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'amend-'))
  folders = { migrations: join(folder, 'migrations'), schema: join(folder, 'schema') }
  for (const path of Object.values(folders)) await mkdir(path)
  await cp(join(ownFolders.schema, 'database.prisma'), join(folders.schema, 'database.prisma'))
  await write(BOOK)
  await writeMigration(database.url, 'book', { folders })
  await migrate(database.url, { folders })
  await query(`INSERT INTO "Book" VALUES (1, 'Emma', 400)`)
})

afterEach(async () => {
  await database[Symbol.asyncDispose]()
  await rm(join(folders.schema, '..'), { recursive: true })
})

async function write(fields: string[], model = 'Book'): Promise<void> {
  await writeFile(join(folders.schema, 'book.prisma'), `model ${model} {\n  ${fields.join('\n  ')}\n}\n`)
}

async function query(sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: database.url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

function all(likely: Rename[]): Promise<Rename[]> {
  return Promise.resolve(likely)
}

function no(): Promise<never> {
  return Promise.reject(new MigrationError('no'))
}

async function names(): Promise<string[]> {
  return (await readdir(folders.migrations)).map((name) => name.slice(15))
}

test('a renamed column is likely a rename, and as one it keeps what is in it, and its index', async () => {
  await write(BOOK.map((line) => line.replace('title', 'name')))
  const asked: Rename[][] = []
  const choose = (likely: Rename[]) => (asked.push(likely), Promise.resolve(likely))
  const file = await writeMigration(database.url, 'rename', { folders, choose })
  expect(asked).toEqual([[{ table: 'Book', from: 'title', to: 'name' }]])
  expect(await readFile(file, 'utf8')).toContain('ALTER TABLE "Book" RENAME COLUMN "title" TO "name";')
  expect(await readFile(file, 'utf8')).not.toMatch(/DROP|ADD/)
  await migrate(database.url, { folders })
  expect(await query('SELECT * FROM "Book"')).toEqual([{ id: 1, name: 'Emma', pages: 400 }])
  expect(await draftMigration(database.url, folders)).toBeNull()
})

test('a renamed table is likely a rename, and as one it keeps its rows', async () => {
  await write(BOOK, 'Volume')
  await writeMigration(database.url, 'rename', { folders, choose: all })
  await migrate(database.url, { folders })
  expect(await query('SELECT title FROM "Volume"')).toEqual([{ title: 'Emma' }])
  expect(await draftMigration(database.url, folders)).toBeNull()
})

test('what is of another type is no rename, and nobody is asked', async () => {
  await write(BOOK.map((line) => line.replace('pages Int?', 'weight Float?')))
  let isAsked = false
  const choose = (likely: Rename[]) => ((isAsked = true), Promise.resolve(likely))
  const file = await writeMigration(database.url, 'weight', { folders, choose })
  expect(isAsked).toBe(false)
  expect(await readFile(file, 'utf8')).toMatch(/DROP COLUMN "pages"/)
})

test('amended, the newest migration says what the schema says now, and what was before it keeps its rows', async () => {
  await write([...BOOK, 'note String?'])
  await writeMigration(database.url, 'note', { folders })
  await migrate(database.url, { folders })
  await write([...BOOK, 'remark String @default("")'])
  const shown: string[] = []
  const { file, undone } = await amendMigration(database.url, {
    folders,
    confirm: async (undo) => void shown.push(undo),
  })
  expect(shown).toEqual([undone])
  expect(undone).toContain('DROP COLUMN "note"')
  expect(await readFile(file!, 'utf8')).toBe(
    `-- AlterTable\nALTER TABLE "Book" ADD COLUMN     "remark" TEXT NOT NULL DEFAULT '';\n`,
  )
  expect(await migrate(database.url, { folders })).toEqual([expect.stringMatching(/_note$/)])
  expect(await query('SELECT title, remark FROM "Book"')).toEqual([{ title: 'Emma', remark: '' }])
  expect(await draftMigration(database.url, folders)).toBeNull()
})

test('what a person has written into it stays, and what is missing comes after it', async () => {
  await write([...BOOK, 'note String?'])
  const file = await writeMigration(database.url, 'note', { folders })
  await migrate(database.url, { folders })
  const check = 'ALTER TABLE "Book" ADD CONSTRAINT short CHECK (length(note) < 9) NOT VALID;\n'
  await writeFile(file, (await readFile(file, 'utf8')) + check)
  await write([...BOOK, 'note String?', 'shelf Int?'])
  await amendMigration(database.url, { folders })
  expect(await readFile(file, 'utf8')).toMatch(
    /"note" TEXT;\nALTER TABLE .* CHECK .*\n\n?-- AlterTable\n.*"shelf"/,
  )
  await migrate(database.url, { folders })
  await expect(query(`UPDATE "Book" SET note = 'a note that is long'`)).rejects.toThrow(/short/)
})

test('a file that was edited after it was applied is applied anew, as it is', async () => {
  await write([...BOOK, 'note String?'])
  const file = await writeMigration(database.url, 'note', { folders })
  await migrate(database.url, { folders })
  const text = `${await readFile(file, 'utf8')}UPDATE "Book" SET note = title;\n`
  await writeFile(file, text)
  await amendMigration(database.url, { folders })
  expect(await readFile(file, 'utf8')).toBe(text)
  await migrate(database.url, { folders })
  expect(await query('SELECT note FROM "Book"')).toEqual([{ note: 'Emma' }])
})

test('a migration that the schema no longer asks for is gone', async () => {
  await write([...BOOK, 'note String?'])
  await writeMigration(database.url, 'note', { folders })
  await migrate(database.url, { folders })
  await write(BOOK)
  expect((await amendMigration(database.url, { folders })).file).toBeUndefined()
  expect(await names()).not.toContain('note')
  expect(await query('SELECT * FROM "Book"')).toEqual([{ id: 1, title: 'Emma', pages: 400 }])
})

test('when there is nothing to amend, or a person says no, nothing changes', async () => {
  await expect(amendMigration(database.url, { folders })).rejects.toThrow(/nothing to amend/)
  const before = await names()
  await write(BOOK.slice(0, 2))
  await expect(amendMigration(database.url, { folders, confirm: no })).rejects.toThrow('no')
  expect(await names()).toEqual(before)
  expect(await query('SELECT pages FROM "Book"')).toEqual([{ pages: 400 }])
})

test('what cannot be taken back stays, and it says so', async () => {
  await write(BOOK.filter((line) => !line.startsWith('title') && !line.startsWith('@@')))
  await writeMigration(database.url, 'drop', { folders })
  await migrate(database.url, { folders })
  await write([...BOOK.slice(0, 1), 'isbn String?'])
  const before = await query('SELECT * FROM "Book"')
  await expect(amendMigration(database.url, { folders })).rejects.toThrow(
    /cannot be taken back: [\s\S]*pnpm migrate reset/,
  )
  expect(await query('SELECT * FROM "Book"')).toEqual(before)
  expect(await names()).toContain('drop')
})

test('a reset empties what migrations made, and leaves the rest', async () => {
  await query('CREATE SCHEMA sessions; CREATE TABLE sessions.session (id text)')
  expect(await resetDatabase(database.url, { folders })).toHaveLength((await names()).length)
  expect(await query('SELECT * FROM "Book"')).toEqual([])
  expect(await query('SELECT * FROM sessions.session')).toEqual([])
})
