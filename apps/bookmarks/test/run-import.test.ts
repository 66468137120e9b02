import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createDatabase, type TestDatabase } from '@repo/testing'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDatabase, type Database } from '../src/database.ts'
import type { FiledBookmark } from '../src/domain/bookmark.ts'
import { addBookmark } from '../src/domain/bookmarks.ts'
import { ImportProblem } from '../src/domain/import-problem.ts'
import { createAddressCheck } from '../src/domain/public-address.ts'
import { beginImport, finishImport, storeLinks, type Write } from '../src/domain/run-import.ts'
import { handleImportBookmarks } from '../src/jobs/import-bookmarks.ts'

let disposable: TestDatabase
let database: Database
beforeAll(async () => {
  disposable = await createDatabase('bookmarks')
  database = openDatabase(disposable.url)
})
afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
  await disposable?.[Symbol.asyncDispose]()
})

const write: Write = (work) => database.$transaction(work)
const quota = { maxBookmarks: 10_000, maxBytes: 10_000_000 }

test('wherever it is interrupted and however often, each link is counted once and stored once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constant(null), fc.nat({ max: 1500 })), {
        minLength: 1,
        maxLength: 2500,
        size: 'max',
      }),
      fc.array(fc.nat({ max: 2500 }), { maxLength: 4 }),
      async (numbers, interruptions) => {
        const links = numbers.map((n) => (n === null ? null : bookmark(n)))
        const { id, userId } = await newImport()
        for (const interruption of interruptions) {
          const broken = breakOff(links, interruption)
          await storeLinks(write, { ...(await beginImport(database, id))! }, broken, 'file', quota).catch(
            () => {},
          )
        }
        const pending = (await beginImport(database, id))!
        await storeLinks(write, pending, iterate(links), 'file', quota)
        await finishImport(write, id)

        const different = new Set(numbers.filter((n) => n !== null)).size
        expect(await counts(id)).toEqual({
          status: 'done',
          total: links.length,
          imported: different,
          skipped: links.length - different,
        })
        expect(await database.bookmark.count({ where: { userId } })).toBe(different)
        expect(await beginImport(database, id)).toBeNull()
      },
    ),
    { numRuns: 15 },
  )
}, 120_000)

test('a link under several labels is one bookmark, and the labels after the first are tags', async () => {
  const { id, userId } = await newImport()
  const old = await addBookmark(database, quota, userId, { url: 'https://example.org/1', tags: ['mine'] })
  // The import is younger than the bookmark.
  await database.bookmarkImport.update({ where: { id }, data: { createdAt: new Date(Date.now() + 5) } })
  await sleep(10)
  const others = Array.from({ length: 600 }, (_, n) => bookmark(n + 1000))
  const links = [
    filed(1, ['Read']),
    filed(2, ['Languages'], ['c']),
    filed(2, ['Languages']),
    filed(2, ['Work', 'Old, and long']),
    ...others,
    filed(2, [], ['c', 'ansi']),
    filed(2, ['Work', 'Read']),
  ]
  // The second attempt, as after a killed worker.
  for (const broken of [breakOff(links, 500), iterate(links)]) {
    await storeLinks(write, (await beginImport(database, id))!, broken, 'file', quota).catch(() => {})
  }
  const find = (n: number) =>
    database.bookmark.findFirstOrThrow({ where: { userId, url: `https://example.org/${n}` } })
  expect(await find(2)).toMatchObject({
    folder: ['Languages'],
    tags: ['c', 'Old and long', 'ansi', 'Read'],
  })
  expect(await find(1)).toMatchObject({ id: old.id, folder: [], tags: ['mine'] })
  expect(await counts(id)).toMatchObject({ total: 606, imported: 601, skipped: 5 })
})

test('of two workers that both hold an import, the one that was slower stops', async () => {
  const links = Array.from({ length: 2000 }, (_, n) => bookmark(n))
  const { id, userId } = await newImport()
  const pending = (await beginImport(database, id))!
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const { promise: isWaiting, resolve: reportWaiting } = Promise.withResolvers<void>()

  const slow = storeLinks(write, pending, pauseAt(links, 700, gate, reportWaiting), 'file', quota)
  const outcome = slow.catch((error: unknown) => error)
  await isWaiting
  await storeLinks(write, (await beginImport(database, id))!, iterate(links), 'file', quota)
  open()
  expect(await outcome).toMatchObject({ message: expect.stringMatching(/further than this worker knows/) })
  expect(await counts(id)).toMatchObject({ total: 2000, imported: 2000, skipped: 0 })
  expect(await database.bookmark.count({ where: { userId } })).toBe(2000)
})

test('imports of one person at the same moment store each address once, in whatever order they meet them', async () => {
  for (let round = 0; round < 10; round++) {
    const links = Array.from({ length: 500 }, (_, n) => bookmark(n))
    const userId = randomUUID()
    const imports = await Promise.all(
      [links, links.toReversed(), links, links.toReversed()].map(async (order) => {
        const { id } = await newImport(userId)
        await storeLinks(write, (await beginImport(database, id))!, iterate(order), 'file', quota)
        return counts(id)
      }),
    )
    expect(imports.map(({ total }) => total)).toEqual([500, 500, 500, 500])
    expect(imports.reduce((sum, { imported }) => sum + imported, 0)).toBe(500)
    expect(await database.bookmark.count({ where: { userId } })).toBe(500)
  }
})

test('a file that is another one the second time is counted from its beginning', async () => {
  const { id } = await newImport()
  const first = Array.from({ length: 1200 }, (_, n) => bookmark(n))
  const second = Array.from({ length: 1300 }, (_, n) => bookmark(n + 100))
  const pending = (await beginImport(database, id))!
  await storeLinks(write, pending, breakOff(first, 1100), 'one', quota).catch(() => {})
  expect(await counts(id)).toMatchObject({ total: 1000, imported: 1000 })
  await storeLinks(write, pending, iterate(second), 'two', quota)
  expect(await counts(id)).toMatchObject({ total: 1300, imported: 400, skipped: 900 })
})

test('stops between two batches when its job must end', async () => {
  const { id } = await newImport()
  const links = Array.from({ length: 5000 }, (_, n) => bookmark(n))
  const ending = new AbortController()
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const { promise: isWaiting, resolve: reportWaiting } = Promise.withResolvers<void>()
  const source = pauseAt(links, 1600, gate, reportWaiting)
  const stored = storeLinks(
    (work) => {
      ending.signal.throwIfAborted()
      return write(work)
    },
    (await beginImport(database, id))!,
    source,
    'file',
    quota,
  )
  await isWaiting
  ending.abort(new Error('the process must end'))
  open()
  await expect(stored).rejects.toThrow('the process must end')
  expect(await counts(id)).toMatchObject({ status: 'running', total: 1500, imported: 1500 })
})

test('stores what the quota allows, batch by batch, and says that the rest was too much', async () => {
  const links = Array.from({ length: 2000 }, (_, n) => bookmark(n))
  const limits = [
    { ...quota, maxBookmarks: 1200 },
    { ...quota, maxBytes: 1200 * 30 },
  ]
  for (const limit of limits) {
    const { id, userId } = await newImport()
    const stored = storeLinks(write, (await beginImport(database, id))!, iterate(links), 'file', limit)
    await expect(stored).rejects.toThrow(ImportProblem)
    expect(await counts(id)).toMatchObject({ total: 1000, imported: 1000 })
    expect(await database.bookmark.count({ where: { userId } })).toBe(1000)

    // Links that exist already need no quota.
    const again = await newImport(userId)
    const pending = (await beginImport(database, again.id))!
    await storeLinks(write, pending, iterate(links.slice(0, 1000)), 'file', limit)
    expect(await counts(again.id)).toMatchObject({ total: 1000, skipped: 1000 })
  }
})

test('of imports and additions of one person at once, none makes more than the quota', async () => {
  const userId = randomUUID()
  const limit = { ...quota, maxBookmarks: 560 }
  const add = (n: number) =>
    addBookmark(database, limit, userId, { url: `https://example.com/${n}` }).then(
      () => 1,
      (error: { code: string }) => error.code,
    )
  const imports = [0, 5000].map(async (from) => {
    const links = Array.from({ length: 1000 }, (_, n) => bookmark(from + n))
    const pending = (await beginImport(database, (await newImport(userId)).id))!
    await storeLinks(write, pending, iterate(links), 'file', limit).catch(() => {})
  })
  const added = await Promise.all(Array.from({ length: 40 }, (_, n) => add(n)))
  await Promise.all(imports)
  const more = await Promise.all(Array.from({ length: 40 }, (_, n) => add(100 + n)))
  expect(new Set([...added, ...more])).toEqual(new Set([1, 'BOOKMARK_QUOTA_EXCEEDED']))
  expect(await database.bookmark.count({ where: { userId } })).toBe(560)
})

test('an import that takes longer than it may ends with a sentence', async () => {
  const server = createServer((_, response) => response.write('x'.repeat(1000))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { id } = await database.bookmarkImport.create({ data: { userId: 'ada', status: 'queued', url } })
  const isAllowedAddress = createAddressCheck(['127.0.0.1'])
  const job = handleImportBookmarks({ database, quota, maxBytes: 1e6, isAllowedAddress, withinMs: 300 })
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const { signal } = new AbortController()
  await job.run({ importId: id }, { id: '1', attempt: 1, signal, log, transaction: write })
  server.closeAllConnections()
  server.close()
  expect(await database.bookmarkImport.findUniqueOrThrow({ where: { id } })).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/took longer than it may/),
  })
})

async function newImport(userId: string = randomUUID()) {
  return database.bookmarkImport.create({ data: { userId, status: 'queued' } })
}

async function counts(id: string) {
  return database.bookmarkImport.findUniqueOrThrow({
    where: { id },
    select: { status: true, total: true, imported: true, skipped: true },
  })
}

function filed(n: number, folder: string[], tags: string[] = []): FiledBookmark {
  return { ...bookmark(n), folder, tags }
}

function bookmark(n: number): FiledBookmark {
  const url = `https://example.org/${n}`
  return { url, title: `${n}`, notes: '', tags: ['a', 'b'], folder: ['F'], createdAt: new Date(1.4e12) }
}

async function* iterate<T>(items: readonly T[]) {
  yield* items
}

async function* breakOff<T>(items: readonly T[], after: number) {
  yield* items.slice(0, after)
  throw new Error('killed')
}

async function* pauseAt<T>(items: readonly T[], position: number, gate: Promise<void>, report: () => void) {
  yield* items.slice(0, position)
  report()
  await gate
  yield* items.slice(position)
}
