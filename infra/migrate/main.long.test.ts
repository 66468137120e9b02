import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createEmptyDatabase } from '@repo/testing'
import { expect, test } from 'vitest'

test('migrates, says what it did, and says so when there was nothing to do', async () => {
  await using database = await createEmptyDatabase()
  expect(await migrate(database.url, '--status')).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^to apply {5}\d{14}_accounts$/m),
  })
  expect(await migrate(database.url)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^applied \d{14}_accounts$/m),
  })
  expect(await migrate(database.url)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^Nothing to apply: the database has every migration\.$/m),
  })
  expect(await migrate(database.url, '--status')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^applied {6}\d{14}_accounts$/m),
  })
}, 60_000)

test('writes no migration when the schema has nothing new to say', async () => {
  await using database = await createEmptyDatabase()
  expect(await migrate(database.url, 'new', 'nothing')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/there is nothing to write/),
  })
})

test('help fits a screen, and a word it does not know is a failure', async () => {
  const { code, out } = await migrate(undefined, '--help')
  expect(code).toBe(0)
  expect(out.split('\n').length).toBeLessThan(24)
  expect(out.split('\n').every((line) => line.length <= 120)).toBe(true)
  expect(await migrate(undefined, 'everything')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^That is not a command/),
  })
  expect(await migrate(undefined, 'new')).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^That is not a command/),
  })
}, 60_000)

test('what loses rows is for a database of this machine, and is not done without a yes', async () => {
  for (const word of ['amend', 'reset']) {
    expect(await migrate('postgres://db.example.com/shop', word, '--yes')).toMatchObject({
      code: 1,
      err: 'The database is on db.example.com. This is for one of this machine.\n',
    })
  }
  await using database = await createEmptyDatabase()
  await migrate(database.url)
  expect(await migrate(database.url, 'reset')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^All rows of .* go\.\nNothing was changed\. .*--yes$/m),
  })
  expect(await migrate(database.url, 'reset', '--yes')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^The database is new: \d+ migrations were applied\.$/m),
  })
}, 60_000)

async function migrate(
  url: string | undefined,
  ...args: string[]
): Promise<{ code: number; out: string; err: string }> {
  return await new Promise((resolve) => {
    const env = { ...process.env, DATABASE_URL: url }
    execFile(
      process.execPath,
      [fileURLToPath(new URL('main.ts', import.meta.url)), ...args],
      { env },
      (error, out, err) => resolve({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}
