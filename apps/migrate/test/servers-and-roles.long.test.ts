import { urlVariableOf } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { createEmptyDatabase, query, startPostgres } from '@repo/testing'
import { describe, expect, test } from 'vitest'
import { apps, as, databaseOf, environmentOn, first, NOTHING, release, urlsOn } from './run-release.ts'

/** The URL of a role that owns the database and has the given rights. */
async function ownerOf(admin: string, rights: string): Promise<string> {
  const database = databaseOf(admin)
  const name = `${database}_owner`
  await query(
    admin,
    `CREATE ROLE ${name} LOGIN PASSWORD 'secret' ${rights}; ALTER DATABASE ${database} OWNER TO ${name}`,
  )
  return as(admin, name, 'secret')
}

test('an app may live on another server, by its URL alone', async () => {
  await using database = await createEmptyDatabase()
  await using elsewhere = await startPostgres()
  const own = shareUrl(elsewhere.url, first.app)
  await query(
    elsewhere.url,
    `CREATE ROLE "${new URL(own).username}" LOGIN PASSWORD '${new URL(own).password}';
     ALTER ROLE "${new URL(own).username}" SET search_path = ${first.schema}, ${first.schema}_queue, extensions;
     CREATE SCHEMA ${first.schema} AUTHORIZATION "${new URL(own).username}";
     CREATE SCHEMA ${first.schema}_queue AUTHORIZATION "${new URL(own).username}"`,
  )
  const env = { ...environmentOn(database.url), [urlVariableOf(first.app)]: own }
  const { code, output } = await release(env)
  expect([code, output]).toEqual([0, expect.stringContaining(`applied ${first.app}/`)])
  expect(await query(own, 'SELECT FROM _prisma_migrations LIMIT 1')).toHaveLength(1)
  const here = `SELECT FROM pg_namespace WHERE nspname = '${first.schema}'`
  expect(await query(database.url, here)).toEqual([])
  expect(await release(env)).toEqual(NOTHING)
})

describe('a login', () => {
  test('can be replaced by a second one, and removed when nobody uses it any more', async () => {
    await using database = await createEmptyDatabase()
    const before = shareUrl(database.url, first.app)
    const after = as(before, `${new URL(before).username}_2`)
    await release(environmentOn(database.url))
    await query(before, 'CREATE TABLE of_before (id int)')

    const rotated = { ...environmentOn(database.url), [urlVariableOf(first.app)]: after }
    expect(await release(rotated)).toMatchObject({ code: 0 })
    // Both work while the processes change over one by one. What either of them creates belongs to the role of the app.
    for (const url of [before, after]) await query(url, 'INSERT INTO of_before VALUES (1)')
    await query(after, 'CREATE TABLE of_after (id int)')
    await query(before, 'SELECT FROM of_after')

    await query(database.url, `ALTER ROLE "${new URL(before).username}" NOLOGIN`)
    await expect(query(before, 'SELECT 1')).rejects.toThrow(/not permitted to log in/)
    expect(await release(rotated)).toEqual(NOTHING)
    expect(await query(after, 'SELECT FROM of_before')).toHaveLength(2)
  })

  test('that exists keeps its password, and a URL with another password is reported', async () => {
    await using database = await createEmptyDatabase()
    await release(environmentOn(database.url))
    const url = as(shareUrl(database.url, first.app), new URL(shareUrl(database.url, first.app)).username)
    const { code, output } = await release({
      ...environmentOn(database.url),
      [urlVariableOf(first.app)]: url,
    })
    expect(code).toBe(1)
    expect(output).toMatch(/password authentication failed.* A login that is there keeps its password/)
  })
})

describe('where the server allows less', () => {
  test('an administrator who is not a superuser is enough', async () => {
    await using database = await createEmptyDatabase()
    const owner = await ownerOf(database.url, 'CREATEROLE')
    const env = { ...urlsOn(database.url), ADMIN_DATABASE_URL: owner }
    expect(await release(env)).toMatchObject({ code: 0 })
    expect(await release(env)).toEqual(NOTHING)
  })

  test('a user who may not create roles is told what an administrator has to run; then it works', async () => {
    await using database = await createEmptyDatabase()
    const env = { ...urlsOn(database.url), ADMIN_DATABASE_URL: await ownerOf(database.url, '') }
    const { code, output } = await release(env)
    expect(code).toBe(1)
    expect(output).toMatch(/permission denied to create role.* An administrator has to run this/)
    expect(output).toMatch(/ {2}CREATE ROLE .* LOGIN PASSWORD '…';/)
    expect(output).not.toContain(new URL(shareUrl(database.url, first.app)).password)

    await release(environmentOn(database.url))
    expect(await release(env)).toEqual(NOTHING)
  })

  test('all apps share one role when each URL says which schemas it means', async () => {
    await using database = await createEmptyDatabase()
    const owner = await ownerOf(database.url, '')
    const plain = Object.fromEntries(apps.map(({ app }) => [urlVariableOf(app), owner]))
    const told = await release({ ADMIN_DATABASE_URL: owner, ...plain })
    expect(told.code).toBe(1)
    const options = [...told.output.matchAll(/add to its URL: (\?options=\S+)/g)].map(([, found]) => found!)
    expect(options).toHaveLength(apps.length)
    const said = Object.fromEntries(apps.map(({ app }, n) => [urlVariableOf(app), owner + options[n]!]))
    expect(await release({ ADMIN_DATABASE_URL: owner, ...said })).toMatchObject({ code: 0 })
    for (const [n, { schema }] of apps.entries())
      expect(await query(owner + options[n]!, 'SELECT current_schema() AS schema')).toEqual([{ schema }])
  })
})
