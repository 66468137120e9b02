import { createEmptyDatabase } from '@repo/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPool } from '../src/open-pool.ts'
import { Prisma } from './fixture/library/src/generated/client.ts'
import {
  migrateLibrary,
  openDatabase,
  openLibrary,
  unavailable,
  type Database,
  type Library,
} from './open-library.ts'

describe('a database that is available', () => {
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

  test('a pool hands on the values of a query, in each of the ways that its type allows', async () => {
    const pool = openPool(server.url)
    const client = await pool.connect()
    try {
      for (const asked of [pool, client]) {
        const { rows } = await asked.query('SELECT $1::text AS said', ['yes'])
        expect(rows).toEqual([{ said: 'yes' }])
        const config = { text: 'SELECT $1::text AS said', values: ['yes'] }
        expect((await asked.query(config)).rows).toEqual(rows)
      }
    } finally {
      client.release()
      await pool.end()
    }
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

describe('a database that is unavailable', () => {
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
})
