import { pollUntil, startPostgres } from '@repo/testing'
import { expect, test } from 'vitest'
import { migrateLibrary, openDatabase, unavailable } from './open-library.ts'

test('a restart of Postgres under load fails no read, and only writes that were under way', async () => {
  await using server = await startPostgres()
  await using database = openDatabase(await migrateLibrary(server.url), { connectWithinMs: 10_000 })
  const stopped = new AbortController()
  let reads = 0
  const acknowledged: string[] = []
  const failures: unknown[] = []
  const read = async () => {
    while (!stopped.signal.aborted) reads += (await database.user.count()) >= 0 ? 1 : 0
  }
  const write = async (writer: number) => {
    for (let i = 0; !stopped.signal.aborted; i++) {
      const email = `${writer}.${i}@example.com`
      await database.user.create({ data: { email, passwordHash: '' } }).then(
        () => acknowledged.push(email),
        (error) => failures.push(error),
      )
    }
  }
  const load = [read(), read(), read(), write(1), write(2)]
  await pollUntil('the load is on', () => reads > 50 && acknowledged.length > 20)
  await server.restart()
  const [readsBefore, writesBefore] = [reads, acknowledged.length]
  await pollUntil('it goes on', () => reads > readsBefore + 50 && acknowledged.length > writesBefore + 20)
  stopped.abort()
  await Promise.all(load)

  // At most the writes in progress fail, all with DATABASE_UNAVAILABLE.
  expect(failures.length).toBeLessThanOrEqual(4)
  for (const failure of failures) expect(failure).toMatchObject(unavailable)
  expect(await database.user.count({ where: { email: { in: acknowledged } } })).toBe(acknowledged.length)
})

test('a frozen Postgres is 503 in time, and what it held up is no harm afterwards', async () => {
  await using server = await startPostgres()
  await using database = openDatabase(await migrateLibrary(server.url), {
    max: 3,
    connectWithinMs: 500,
    answerWithinMs: 500,
  })
  await Promise.all([database.check(), database.check(), database.check()])

  const frozen = Promise.withResolvers<void>()
  let isInside = false
  const transaction = database.$transaction(async (tx) => {
    await tx.user.create({ data: { email: 'half@example.com', passwordHash: '' } })
    isInside = true
    await frozen.promise
    await tx.user.create({ data: { email: 'done@example.com', passwordHash: '' } })
  })
  transaction.catch(() => {})
  await pollUntil('the transaction is open', () => isInside)
  await server.freeze()
  frozen.resolve()

  const askedAt = performance.now()
  const asked = Array.from({ length: 20 }, () => database.user.count().catch((error: unknown) => error))
  for (const answer of await Promise.all(asked)) expect(answer).toMatchObject(unavailable)
  await expect(transaction).rejects.toMatchObject(unavailable)
  // The deadline of a query, that of the rollback, and time for a busy machine.
  expect(performance.now() - askedAt).toBeLessThan(4_000)

  await server.thaw()
  await pollUntil('it answers again', async () => (await database.user.count()) >= 0, { deadlineMs: 2_000 })
  // No connection that was left in the middle of an answer is reused.
  const counts = await Promise.all(Array.from({ length: 10 }, () => database.user.count()))
  expect(counts).toEqual(counts.map(() => 0))
})
