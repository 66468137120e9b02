import { urlVariableOf, type AppTables } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { createEmptyDatabase, query } from '@repo/testing'
import { describe, expect, test } from 'vitest'
import { apps, as, databaseOf, environmentOn, first, NOTHING, release, urlsOn } from './run-release.ts'

const others = (of: AppTables): AppTables[] => apps.filter(({ app }) => app !== of.app)

describe('a release', () => {
  test('brings an empty database up to date, and the next one finds nothing to do', async () => {
    await using database = await createEmptyDatabase()
    const { code, output } = await release(environmentOn(database.url))
    expect([code, output]).toEqual([0, expect.stringContaining(`applied ${first.app}/`)])
    expect(output).not.toContain(new URL(shareUrl(database.url, first.app)).password)
    expect(await release(environmentOn(database.url))).toEqual(NOTHING)
    expect(await release(urlsOn(database.url))).toEqual(NOTHING)
  })

  test('that runs three times at once has the effect of one', async () => {
    await using database = await createEmptyDatabase()
    const ended = await Promise.all([1, 2, 3].map(() => release(environmentOn(database.url))))
    expect(ended.map(({ code, output }) => [code, code === 0 ? '' : output])).toEqual([
      [0, ''],
      [0, ''],
      [0, ''],
    ])
    const applied = ended.flatMap(({ output }) => output.match(/^applied .*/gm) ?? [])
    expect(new Set(applied).size).toBe(applied.length)
  })

  test('that cannot reach Postgres says so and fails, without a password', async () => {
    const { code, output } = await release(environmentOn('postgres://app:s3cret@127.0.0.1:1/app'))
    expect(code).toBe(1)
    expect(output).toMatch(/^The database cannot be reached: .*ECONNREFUSED/)
    expect(output).not.toContain('s3cret')
  })

  test('names each app whose variables are missing', async () => {
    const { code, output } = await release({})
    expect(code).toBe(78)
    for (const { app } of apps) expect(output).toContain(`${urlVariableOf(app)} is missing`)
  })
})

describe('an app', () => {
  test('has a role of its own, which is refused everything of the others and of the server', async () => {
    await using database = await createEmptyDatabase()
    await release({
      ...environmentOn(database.url),
      SESSION_STORE_URL: shareUrl(database.url, 'sessions'),
    })
    for (const tables of apps) {
      const url = shareUrl(database.url, tables.app)
      expect(await query(url, 'SELECT current_schema() AS schema')).toEqual([{ schema: tables.schema }])
      const neighbours = others(tables).map(({ schema }) => `${schema}._prisma_migrations`)
      for (const table of [...neighbours, 'sessions.session', 'sessions.limit_counter'])
        await expect(query(url, `SELECT FROM ${table}`)).rejects.toThrow(/permission denied for schema/)
      for (const deed of ['CREATE SCHEMA mine', 'CREATE TABLE public.mine (id int)', 'CREATE ROLE mine'])
        await expect(query(url, deed)).rejects.toThrow(/permission denied/)
    }
  })

  test('whose release fails does not stop the release of the others', async () => {
    await using database = await createEmptyDatabase()
    const broken = {
      [urlVariableOf(first.app)]: as(shareUrl(database.url, first.app), 'nobody').replace(
        databaseOf(database.url),
        'postgres',
      ),
    }
    const { code, output } = await release({ ...environmentOn(database.url), ...broken })
    expect(code).toBe(1)
    expect(output).toContain(
      `${first.schema}: the database cannot be reached: password authentication failed`,
    )
    for (const { app } of others(first)) expect(output).toContain(`applied ${app}/`)
  })
})
