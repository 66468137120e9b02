import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amendMigration } from '../src/amend-migration.ts'
import { migrate, MigrationError } from '../src/migrate.ts'
import { draftMigration, writeMigration, type Rename } from '../src/write-migration.ts'
import { openLibrary, type Library } from './open-library.ts'

// An app with a new schema, as in a new clone.

const HEAD = 'datasource db {\n  provider = "postgresql"\n}\n\n'
const BOOK = ['id Int @id', 'title String', 'pages Int?', '@@index([title])']
let library: Library

beforeEach(async () => {
  library = await openLibrary({ hasFiles: false })
  await mkdir(dirname(library.tables.models))
  await write(BOOK)
  await draft('book')
  await apply()
  await library.query(`INSERT INTO "Book" VALUES (1, 'Emma', 400)`)
})
afterEach(() => library[Symbol.asyncDispose]())

async function write(fields: string[], model = 'Book'): Promise<void> {
  await writeFile(library.tables.models, `${HEAD}model ${model} {\n  ${fields.join('\n  ')}\n}\n`)
}

const draft = (title: string, options = {}) => writeMigration(library.admin, library.tables, title, options)
const apply = () => migrate(library.url, library.tables)
const amend = (options = {}) =>
  amendMigration(library.url, library.tables, { admin: library.admin, ...options })
const isDrafted = async () => (await draftMigration(library.admin, library.tables)) === null

function all(likely: Rename[]): Promise<Rename[]> {
  return Promise.resolve(likely)
}

function no(): Promise<never> {
  return Promise.reject(new MigrationError('no'))
}

async function names(): Promise<string[]> {
  return (await readdir(library.tables.migrations)).map((name) => name.slice(15))
}

test('a renamed column is likely a rename, and as one it keeps what is in it, and its index', async () => {
  await write(BOOK.map((line) => line.replace('title', 'name')))
  const asked: Rename[][] = []
  const choose = (likely: Rename[]) => (asked.push(likely), Promise.resolve(likely))
  const file = await draft('rename', { choose })
  expect(asked).toEqual([[{ table: 'Book', from: 'title', to: 'name' }]])
  expect(await readFile(file, 'utf8')).toContain('ALTER TABLE "Book" RENAME COLUMN "title" TO "name";')
  expect(await readFile(file, 'utf8')).not.toMatch(/DROP|ADD/)
  await apply()
  expect(await library.query('SELECT * FROM "Book"')).toEqual([{ id: 1, name: 'Emma', pages: 400 }])
  expect(await isDrafted()).toBe(true)
})

test('a renamed table is likely a rename, and as one it keeps its rows', async () => {
  await write(BOOK, 'Volume')
  await draft('rename', { choose: all })
  await apply()
  expect(await library.query('SELECT title FROM "Volume"')).toEqual([{ title: 'Emma' }])
  expect(await isDrafted()).toBe(true)
})

test('what is of another type is no rename, and nobody is asked', async () => {
  await write(BOOK.map((line) => line.replace('pages Int?', 'weight Float?')))
  let isAsked = false
  const choose = (likely: Rename[]) => ((isAsked = true), Promise.resolve(likely))
  const file = await draft('weight', { choose })
  expect(isAsked).toBe(false)
  expect(await readFile(file, 'utf8')).toMatch(/DROP COLUMN "pages"/)
})

test('amended, the newest migration says what the schema says now, and what was before it keeps its rows', async () => {
  await write([...BOOK, 'note String?'])
  await draft('note')
  await apply()
  await write([...BOOK, 'remark String @default("")'])
  const shown: string[] = []
  const { file, undone } = await amend({
    confirm: async (undo: string) => void shown.push(undo),
  })
  expect(shown).toEqual([undone])
  expect(undone).toContain('DROP COLUMN "note"')
  expect(await readFile(file!, 'utf8')).toBe(
    `-- AlterTable\nALTER TABLE "Book" ADD COLUMN     "remark" TEXT NOT NULL DEFAULT '';\n`,
  )
  expect(await apply()).toEqual([expect.stringMatching(/_note$/)])
  expect(await library.query('SELECT title, remark FROM "Book"')).toEqual([{ title: 'Emma', remark: '' }])
  expect(await isDrafted()).toBe(true)
})

test('what a person has written into it stays, and what is missing comes after it', async () => {
  await write([...BOOK, 'note String?'])
  const file = await draft('note')
  await apply()
  const check = 'ALTER TABLE "Book" ADD CONSTRAINT short CHECK (length(note) < 9) NOT VALID;\n'
  await writeFile(file, (await readFile(file, 'utf8')) + check)
  await write([...BOOK, 'note String?', 'shelf Int?'])
  await amend()
  expect(await readFile(file, 'utf8')).toMatch(
    /"note" TEXT;\nALTER TABLE .* CHECK .*\n\n?-- AlterTable\n.*"shelf"/,
  )
  await apply()
  await expect(library.query(`UPDATE "Book" SET note = 'a note that is long'`)).rejects.toThrow(/short/)
})

test('a file that was edited after it was applied is applied anew, as it is', async () => {
  await write([...BOOK, 'note String?'])
  const file = await draft('note')
  await apply()
  const text = `${await readFile(file, 'utf8')}UPDATE "Book" SET note = title;\n`
  await writeFile(file, text)
  await amend()
  expect(await readFile(file, 'utf8')).toBe(text)
  await apply()
  expect(await library.query('SELECT note FROM "Book"')).toEqual([{ note: 'Emma' }])
})

test('a migration that the schema no longer asks for is gone', async () => {
  await write([...BOOK, 'note String?'])
  await draft('note')
  await apply()
  await write(BOOK)
  expect((await amend()).file).toBeUndefined()
  expect(await names()).not.toContain('note')
  expect(await library.query('SELECT * FROM "Book"')).toEqual([{ id: 1, title: 'Emma', pages: 400 }])
})

test('when there is nothing to amend, or a person says no, nothing changes', async () => {
  await expect(amend()).rejects.toThrow(/nothing to amend/)
  const before = await names()
  await write(BOOK.slice(0, 2))
  await expect(amend({ confirm: no })).rejects.toThrow('no')
  expect(await names()).toEqual(before)
  expect(await library.query('SELECT pages FROM "Book"')).toEqual([{ pages: 400 }])
})

test('what cannot be taken back stays, and it says so', async () => {
  await write(BOOK.filter((line) => !line.startsWith('title') && !line.startsWith('@@')))
  await draft('drop')
  await apply()
  await write([...BOOK.slice(0, 1), 'isbn String?'])
  const before = await library.query('SELECT * FROM "Book"')
  await expect(amend()).rejects.toThrow(/cannot be taken back: [\s\S]*pnpm migrate reset/)
  expect(await library.query('SELECT * FROM "Book"')).toEqual(before)
  expect(await names()).toContain('drop')
})
