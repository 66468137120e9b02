import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pollUntil, release, shareUrl, startPostgres, type BackingService } from '@repo/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openDatabase } from '../src/database.ts'
import { bookmarkFile } from './bookmark-file.ts'
import { form, startFormation, type Formation, type Person } from './formation.ts'

// On its own Postgres, because it is killed.

const temporaryFolder = mkdtempSync(join(tmpdir(), 'bookmarks-test-'))
let postgres: BackingService
let house: Formation
beforeAll(async () => {
  postgres = await startPostgres()
  await release(postgres.url)
  house = await startFormation({
    DATABASE_URL: shareUrl(postgres.url, 'bookmarks'),
    // Twice as long as a stopping worker waits for a runner that has lost its Postgres (packages/queue/src/work.ts).
    SHUTDOWN_DEADLINE_MS: '4000',
    TMPDIR: temporaryFolder,
  })
})
afterAll(async () => {
  await house?.[Symbol.asyncDispose]()
  await postgres?.[Symbol.asyncDispose]()
  rmSync(temporaryFolder, { recursive: true })
})
beforeEach(async () => {
  const missing = [1, 2].filter((n) => !house.workers.process(n).isRunning)
  await Promise.all(missing.map((n) => house.workers.restart(n)))
})

test('an import whose worker is killed is finished by another, with each bookmark stored once', async () => {
  await house.workers.stop(2)
  const person = await house.person()
  const links = 10_000
  const { body } = await upload(person, links)
  await someAreStored(person, body)

  await house.workers.kill(1)
  const { total } = await progress(person, body)
  expect(total).toBeLessThan(links)
  expect(readdirSync(temporaryFolder)).toEqual([])

  await house.workers.restart(2)
  expect(await person.watch(body.import.id)).toMatchObject({
    status: 'done',
    total: links,
    imported: links,
    skipped: 0,
    error: null,
  })
  await using database = openDatabase(house.servers.env['DATABASE_URL']!)
  expect(await database.bookmark.count({ where: { userId: person.id } })).toBe(links)
  expect(await database.importChunk.count()).toBe(0)
}, 180_000)

test('a worker that must end gives its import to another in time', async () => {
  await house.workers.stop(2)
  const person = await house.person()
  const { body } = await upload(person, 60_000)
  await someAreStored(person, body)

  expect(await house.workers.stop(1)).toMatchObject({ code: 0 })
  expect((await progress(person, body)).status).toBe('running')
  await Promise.all([house.workers.restart(1), house.workers.restart(2)])
  expect(await person.watch(body.import.id)).toMatchObject({
    status: 'done',
    total: 60_000,
    imported: 60_000,
  })
}, 180_000)

test('a restart of Postgres is a clear answer, and loses nothing that was acknowledged', async () => {
  const person = await house.person()
  const { body } = await upload(person, 10_000)
  await someAreStored(person, body)

  const acknowledged: string[] = []
  const problems = new Map<string, number>()
  const over = new AbortController()
  let count = 0
  async function keepAdding(): Promise<void> {
    while (!over.signal.aborted) {
      const url = `https://example.net/${count++}`
      const { status, body } = await person.send('POST', '', { url })
      if (status === 201) acknowledged.push(url)
      else {
        const problem = `${status} ${body.code} ${body.detail}`
        problems.set(problem, (problems.get(problem) ?? 0) + 1)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }
  const adding = Promise.all(Array.from({ length: 4 }, keepAdding))
  await pollUntil('some are added', () => acknowledged.length > 20)

  await postgres.kill()
  await pollUntil('it is noticed', () => problems.size > 0)
  const upload503 = await person.send('POST', '/imports', form(bookmarkFile(10)))
  expect(upload503).toMatchObject({ status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  expect(await person.send('POST', '/imports', { url: 'https://example.org' })).toMatchObject({ status: 503 })
  for (const path of ['', '/x', '/imports/x']) {
    const { status, body, headers } = await person.get(path)
    expect([status, body.code]).toEqual([503, 'DATABASE_UNAVAILABLE'])
    expect(headers.get('retry-after')).toMatch(/^\d+$/)
  }

  await postgres.restart()
  const before = acknowledged.length
  await pollUntil('it goes on', () => acknowledged.length > before + 20)
  over.abort()
  await adding

  for (const problem of problems.keys()) expect(problem).toMatch(/^503 DATABASE_UNAVAILABLE /)
  expect([...problems.keys()].join()).not.toMatch(/127\.0\.0\.1|ECONN|prisma|postgres:/i)

  expect(await person.watch(body.import.id)).toMatchObject({
    status: 'done',
    total: 10_000,
    imported: 10_000,
  })
  await using database = openDatabase(house.servers.env['DATABASE_URL']!)
  const stored = await database.bookmark.findMany({ where: { userId: person.id }, select: { url: true } })
  const urls = new Set(stored.map(({ url }) => url))
  expect(acknowledged.filter((url) => !urls.has(url))).toEqual([])
  expect(urls.size).toBe(stored.length)
}, 180_000)

test('an export that loses its Postgres breaks off, and does not end as if it were whole', async () => {
  const person = await house.person()
  await person.import(bookmarkFile(10_000))
  const response = await person.browser.request('/api/bookmarks/export')
  const reader = response.body!.getReader()
  await reader.read()
  await postgres.kill()
  await expect(
    (async () => {
      while (!(await reader.read()).done);
    })(),
  ).rejects.toThrow()
  await postgres.restart()
  await pollUntil('exports go on', async () => (await person.get('/export')).body.endsWith('</DL><p>\n'))
}, 180_000)

test('a worker that cannot write its temporary file says so at once, and the import can be started again', async () => {
  const person = await house.person()
  rmSync(temporaryFolder, { recursive: true })
  const failed = await person.import(bookmarkFile(10))
  mkdirSync(temporaryFolder)
  expect(failed).toMatchObject({
    status: 'failed',
    total: 0,
    error: expect.stringMatching(/no room .* again later/),
  })
  expect(await person.import(bookmarkFile(10))).toMatchObject({ status: 'done', imported: 10 })
})

test('a job of an older release fails in words, and its import does not wait for ever', async () => {
  await using database = openDatabase(house.servers.env['DATABASE_URL']!)
  const person = await house.person()
  const { id } = await database.bookmarkImport.create({ data: { userId: person.id, status: 'queued' } })
  const addJob = (name: string, payload: object) =>
    database.$queryRaw`SELECT id::text FROM add_job(${name}, ${JSON.stringify(payload)}::json)`
  await addJob('bookmarks.import', { file: 'of another release' })
  await pollUntil('the job has failed', async () => {
    const [{ failed }] = await database.$queryRaw<[{ failed: bigint }]>`
      SELECT count(*) AS failed FROM jobs
      WHERE last_error LIKE 'The payload of job bookmarks.import is not what it takes%'`
    return failed === 1n
  })

  await database.bookmarkImport.update({
    where: { id },
    data: { updatedAt: new Date(Date.now() - 25 * 3_600_000) },
  })
  await addJob('bookmarks.end-lost-imports', {})
  expect(await person.watch(id)).toMatchObject({
    status: 'failed',
    error: expect.stringMatching(/start it again/),
  })
})

async function upload(person: Person, links: number) {
  const answer = await person.send('POST', '/imports', form(bookmarkFile(links)))
  expect(answer.status).toBe(202)
  return answer
}

async function someAreStored(person: Person, body: { import: { id: string } }): Promise<void> {
  const isSo = async () => (await progress(person, body)).total > 0
  await pollUntil('some links are stored', isSo, { deadlineMs: 60_000, everyMs: 5 })
}

async function progress(person: Person, body: { import: { id: string } }) {
  return (await person.get(`/imports/${body.import.id}`)).body.import
}
