import { pollUntil } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  migrateLibrary,
  openDatabase,
  openLibrary,
  type Database,
  type Library,
  type Transaction,
} from './open-library.ts'

let server: Library
/** Two processes of one service. */
let one: Database
let other: Database
beforeAll(async () => {
  server = await openLibrary()
  await migrateLibrary(server.admin)
  one = openDatabase(server.url, { max: 4 })
  other = openDatabase(server.url, { max: 4 })
})
afterAll(async () => {
  await one[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
})

const sleep =
  (seconds: number) =>
  (tx: Transaction): Promise<unknown> =>
    tx.$queryRaw`SELECT pg_sleep(${seconds}::float8)::text`

/** A query that runs until it is released. */
function held() {
  const { promise, resolve: letGo } = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const work = async (tx: Transaction): Promise<string> => {
    const [{ setting }] = await tx.$queryRaw<
      [{ setting: string }]
    >`SELECT current_setting('statement_timeout') AS setting`
    begun.resolve()
    await promise
    return setting
  }
  return { work, letGo, begun: begun.promise }
}

test('a query of one user waits for the one before it, in whichever process that is', async () => {
  const limits = { name: 'test.one', share: 0.5, answerWithinMs: 5_000 }
  const [here, there] = [one.limitQueries(limits), other.limitQueries(limits)]
  const first = held()
  const firstDone = here('ada', first.work)
  await first.begun

  const order: string[] = []
  const later = [here, there].map((limit) => limit('ada', async () => void order.push('ada')))
  await there('grace', async () => void order.push('grace'))
  expect(order).toEqual(['grace'])
  first.letGo()
  await Promise.all([firstDone, ...later])
  expect(order).toEqual(['grace', 'ada', 'ada'])
})

test('whoever waits too long for their own query is told so, in every process', async () => {
  const limits = { name: 'test.wait', answerWithinMs: 200, waitMs: 200 }
  const [here, there] = [one.limitQueries(limits), other.limitQueries(limits)]
  const first = held()
  const firstDone = here('ada', first.work)
  await first.begun
  for (const limit of [here, there]) {
    await expect(limit('ada', sleep(0))).rejects.toMatchObject({
      code: 'QUERY_UNDER_WAY',
      statusCode: 429,
      headers: { 'retry-after': '1' },
    })
  }
  first.letGo()
  expect(await firstDone).toBe('200ms')
  await there('ada', sleep(0))
})

test('a statement that takes too long is stopped, and the limit is of that transaction alone', async () => {
  const limit = one.limitQueries({ name: 'test.slow', answerWithinMs: 100 })
  await expect(limit('ada', sleep(5))).rejects.toMatchObject({ code: 'QUERY_TOO_SLOW', statusCode: 422 })
  await limit('ada', sleep(0))
  const settings = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const [row] = await one.$queryRaw<
        [{ setting: string }]
      >`SELECT current_setting('statement_timeout') AS setting`
      return row.setting
    }),
  )
  expect(new Set(settings)).toEqual(new Set(['5s']))
})

test('all of them hold a share of the pool, so that others find a connection at once', async () => {
  const limit = one.limitQueries({ name: 'test.share', share: 0.5, answerWithinMs: 5_000, waitMs: 300 })
  const queries = Array.from({ length: 12 }, held)
  const answers = queries.map(({ work }, n) => limit(`user-${n}`, work).catch((error: unknown) => error))
  await Promise.all([queries[0]!.begun, queries[1]!.begun])

  const askedAt = performance.now()
  await Promise.all(Array.from({ length: 20 }, () => one.user.count()))
  expect(performance.now() - askedAt).toBeLessThan(1_000)
  for (const refused of await Promise.all(answers.slice(2))) {
    expect(refused).toMatchObject({
      code: 'QUERIES_BUSY',
      statusCode: 503,
      headers: { 'retry-after': '1' },
    })
  }
  for (const { letGo } of queries) letGo()
  expect(await Promise.all(answers.slice(0, 2))).toEqual(['5s', '5s'])
})

test('of a pool of one connection the share is that one', async () => {
  await using small = openDatabase(server.url, { max: 1 })
  const limit = small.limitQueries({ name: 'test.small', answerWithinMs: 1_000 })
  await Promise.all(['ada', 'grace', 'ada'].map((userId) => limit(userId, sleep(0.01))))
})

test('who asks a lot waits for themselves: the others have their turn first', async () => {
  const limit = one.limitQueries({ name: 'test.fair', share: 0.25, answerWithinMs: 5_000 })
  const first = held()
  const firstDone = limit('ada', first.work)
  await first.begun
  const order: string[] = []
  const rest = ['ada', 'ada', 'ada', 'grace', 'grace', 'edsger'].map((userId) =>
    limit(userId, async () => void order.push(userId)),
  )
  first.letGo()
  await Promise.all([firstDone, ...rest])
  expect(order).toEqual(['ada', 'grace', 'edsger', 'ada', 'grace', 'ada'])
})

test('a query that nobody waits for any more leaves the line, and is never begun', async () => {
  const limit = one.limitQueries({ name: 'test.gone', share: 0.25, answerWithinMs: 5_000 })
  const first = held()
  const firstDone = limit('ada', first.work)
  await first.begun
  const gone = new AbortController()
  let isBegun = false
  const waiting = limit('ada', async () => void (isBegun = true), gone.signal)
  gone.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'QUERY_UNDER_WAY' })
  first.letGo()
  await firstDone
  await limit('ada', sleep(0))
  expect(isBegun).toBe(false)
})

test('a query that fails gives its turn back', async () => {
  const limit = one.limitQueries({ name: 'test.fails', share: 0.25, answerWithinMs: 5_000 })
  for (let n = 0; n < 3; n++) {
    await expect(limit('ada', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(limit('ada', (tx) => tx.$queryRaw`SELECT 1/0`)).rejects.toThrow(/division by zero/)
  }
  await pollUntil('the next one runs', async () => (await limit('ada', sleep(0))) !== undefined)
})
