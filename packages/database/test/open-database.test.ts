import { createEmptyDatabase, pollUntil, startPostgres } from '@repo/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Prisma } from './fixture/library/src/generated/client.ts'
import { migrateLibrary, openDatabase, openLibrary, type Database, type Library } from './open-library.ts'

const unavailable = {
  code: 'DATABASE_UNAVAILABLE',
  statusCode: 503,
  headers: { 'retry-after': '1' },
  message: 'The database cannot be reached right now. Please try again in a moment.',
}

describe('a database that is there', () => {
  let server: Library
  let database: Database

  beforeAll(async () => {
    server = await openLibrary()
    await migrateLibrary(server.admin)
    database = openDatabase(server.url, { max: 1 })
  })
  afterAll(async () => {
    await database[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  test('a violated constraint is Prisma’s error, and does not cost the connection', async () => {
    const before = await session()
    await database.user.create({ data: { email: 'ada@example.com', passwordHash: '' } })
    const twice = database.user.create({ data: { email: 'ada@example.com', passwordHash: '' } })
    await expect(twice).rejects.toThrow(Prisma.PrismaClientKnownRequestError)
    await expect(twice).rejects.toMatchObject({ code: 'P2002' })
    expect(await session()).toBe(before)
  })

  test('a session that Postgres ends inside a transaction undoes it, and the next one works', async () => {
    const killed = database.$transaction(async (tx) => {
      await tx.user.create({ data: { email: 'lost@example.com', passwordHash: '' } })
      await tx.$executeRaw`SELECT pg_terminate_backend(pg_backend_pid())`
    })
    await expect(killed).rejects.toMatchObject(unavailable)
    expect(await database.user.count({ where: { email: 'lost@example.com' } })).toBe(0)
  })

  test('a read whose session ends under it is asked again', async () => {
    await using other = openDatabase(server.url)
    const pid = await session()
    await other.$executeRaw`SELECT pg_terminate_backend(${pid}::int)`
    expect(await database.user.count()).toBeGreaterThan(0)
  })

  test('a statement that takes too long is given up', async () => {
    await using impatient = openDatabase(server.url, { answerWithinMs: 200 })
    await expect(impatient.$queryRaw`SELECT pg_sleep(5)::text`).rejects.toMatchObject(unavailable)
  })

  async function session(): Promise<number> {
    const [row] = await database.$queryRaw<[{ pid: number }]>`SELECT pg_backend_pid() AS pid`
    return row.pid
  }
})

describe('a database that is away', () => {
  test('opening connects to nothing, and whatever is asked then is 503 without a host name', async () => {
    await using database = openDatabase('postgres://nobody:secret@127.0.0.1:1/nothing', {
      connectWithinMs: 200,
    })
    const user = { data: { email: 'ada@example.com', passwordHash: '' } }
    await expect(database.check()).rejects.toMatchObject(unavailable)
    await expect(database.user.count()).rejects.toMatchObject(unavailable)
    await expect(database.user.create(user)).rejects.toMatchObject(unavailable)
    await expect(database.$queryRaw`SELECT 1`).rejects.toMatchObject(unavailable)
    await expect(database.$transaction([database.user.create(user)])).rejects.toMatchObject(unavailable)
    await expect(database.$transaction((tx) => tx.user.create(user))).rejects.toMatchObject(unavailable)
  })

  test('a wrong password and a missing database are 503 too', async () => {
    await using server = await createEmptyDatabase()
    await using database = openDatabase(`${server.url}_missing`)
    await expect(database.check()).rejects.toMatchObject(unavailable)
  })

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

    // At most what each writer had under way; each answered as what it was.
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
    // Its own deadline, that of a transaction to be undone, and some room for a busy machine.
    expect(performance.now() - askedAt).toBeLessThan(4_000)

    await server.thaw()
    await pollUntil('it answers again', async () => (await database.user.count()) >= 0, { deadlineMs: 2_000 })
    // None of the connections that were left in mid-answer is used again.
    const counts = await Promise.all(Array.from({ length: 10 }, () => database.user.count()))
    expect(counts).toEqual(counts.map(() => 0))
  })
})
