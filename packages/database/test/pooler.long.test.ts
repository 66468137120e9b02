import { needs } from '@repo/testing/programs'
import { query } from '@repo/testing/create-database'
import { startPgBouncer } from '@repo/testing/servers/start-pgbouncer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { migrateLibrary, openDatabase, openLibrary, type Database } from './open-library.ts'

describe('through PgBouncer in transaction mode', needs('pgbouncer'), () => {
  const resources = new AsyncDisposableStack()
  let direct: string
  let database: Database
  beforeAll(async () => {
    const library = resources.use(await openLibrary())
    direct = await migrateLibrary(library.admin)
    const pooler = resources.use((await startPgBouncer(direct))!)
    database = resources.use(openDatabase(pooler.url, { connectWithinMs: 20_000 }))
  })
  afterAll(() => resources.disposeAsync())

  test('queries and transactions of many at once do their work, though two connections serve them all', async () => {
    const emails = Array.from({ length: 100 }, (_, n) => `${n}@example.com`)
    await Promise.all(
      emails.map((email) =>
        database.$transaction(async (tx) => {
          const { id } = await tx.user.create({ data: { email, passwordHash: '' } })
          await tx.user.update({ where: { id }, data: { passwordHash: email } })
        }),
      ),
    )
    expect(await database.user.count()).toBe(100)
    const users = await Promise.all(emails.map((email) => database.user.findUnique({ where: { email } })))
    expect(users.map((user) => user?.passwordHash)).toEqual(emails)
    expect(await query(direct, 'SELECT count(*)::int FROM users')).toEqual([{ count: 100 }])
  })

  test('a statement that takes too long is given up by Postgres, as the role says', async () => {
    const settings = await database.$queryRaw`SELECT current_setting('statement_timeout') AS setting`
    expect(settings).toEqual([{ setting: '5s' }])
    await expect(database.$queryRaw`SELECT pg_sleep(20)::text`).rejects.toMatchObject({
      code: 'DATABASE_UNAVAILABLE',
    })
  })

  test('limited queries have their own limit, and leave nothing of it behind', async () => {
    const limit = database.limitQueries({ name: 'test.pooled', answerWithinMs: 500 })
    await expect(limit('ada', (tx) => tx.$queryRaw`SELECT pg_sleep(3)::text`)).rejects.toMatchObject({
      code: 'QUERY_TOO_SLOW',
    })
    for (let n = 0; n < 4; n++) {
      const settings = await database.$queryRaw`SELECT current_setting('statement_timeout') AS setting`
      expect(settings).toEqual([{ setting: '5s' }])
    }
  })
})
