import { createDatabase, type TestDatabase } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase, type Database } from '../src/database.ts'

let server: TestDatabase
let database: Database

beforeAll(async () => {
  server = await createDatabase('bookmarks')
  database = openDatabase(server.url, { max: 1 })
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

test('a person has one bookmark per address, however long that is', async () => {
  const bookmark = { userId: 'ada', url: `https://example.com/${'x'.repeat(60_000)}` }
  const data = { ...bookmark, title: '', notes: '', tags: [], folder: [], createdAt: new Date() }
  await database.bookmark.create({ data })
  await expect(database.bookmark.create({ data })).rejects.toMatchObject({ code: 'P2002' })
  expect(await database.bookmark.createMany({ data: [data], skipDuplicates: true })).toEqual({ count: 0 })
  await database.bookmark.create({ data: { ...data, userId: 'grace' } })
})

test('no row holds more than 1 MiB of an upload', async () => {
  const { id } = await database.bookmarkImport.create({ data: { userId: 'ada', status: 'uploading' } })
  const store = (length: number, position: number) =>
    database.importChunk.create({ data: { importId: id, position, bytes: Buffer.alloc(length) } })
  await store(1 << 20, 0)
  await expect(store((1 << 20) + 1, 1)).rejects.toThrow(/import_chunks_bytes_length/)
})

test('what a person has is counted, whoever writes it', async () => {
  const usage = async (userId: string) => {
    const row = await database.bookmarkUsage.findUnique({ where: { userId } })
    return row && [row.bookmarks, Number(row.bytes)]
  }
  const data = { title: 'ä', notes: 'four', tags: ['a', 'bc'], folder: ['d'], createdAt: new Date() }
  const urls = ['1', '22', '333']
  await database.bookmark.createMany({ data: urls.map((url) => ({ ...data, userId: 'edsger', url })) })
  await database.bookmark.createMany({
    data: [...urls, '4444'].map((url) => ({ ...data, userId: 'edsger', url })),
    skipDuplicates: true,
  })
  expect(await usage('edsger')).toEqual([4, 4 * 10 + 1 + 2 + 3 + 4])

  await database.bookmark.updateMany({ where: { userId: 'edsger', url: '1' }, data: { notes: '', tags: [] } })
  expect(await usage('edsger')).toEqual([4, 4 * 10 + 10 - 7])
  await database.bookmark.updateMany({ where: { userId: 'edsger', url: '22' }, data: { userId: 'barbara' } })
  expect([await usage('edsger'), await usage('barbara')]).toEqual([
    [3, 4 * 10 + 10 - 7 - 12],
    [1, 12],
  ])
  await database.bookmark.deleteMany({ where: { userId: { in: ['edsger', 'barbara'] } } })
  expect([await usage('edsger'), await usage('barbara')]).toEqual([
    [0, 0],
    [0, 0],
  ])
})
