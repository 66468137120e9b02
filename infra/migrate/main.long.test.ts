import { join } from 'node:path'
import { createEmptyDatabase } from '@repo/testing'
import { expect, test } from 'vitest'
import { runCommand } from '../test/run-command.ts'

const migrate = (url: string | undefined, ...args: string[]) =>
  runCommand(join(import.meta.dirname, 'main.ts'), args, { DATABASE_URL: url })

test('migrates, says what it did, and says when there is nothing to do', async () => {
  await using database = await createEmptyDatabase()
  expect(await migrate(database.url, '--status')).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^to apply {5}accounts\/\d{14}_accounts$/m),
  })
  expect(await migrate(database.url)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^applied accounts\/\d{14}_accounts$/m),
  })
  expect(await migrate(database.url)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^nothing to apply$/m),
  })
  expect(await migrate(database.url, '--status')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^applied {6}accounts\/\d{14}_accounts$/m),
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

test('help fits on a screen, and an unknown word is an error', async () => {
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
  for (const command of [['amend', 'accounts'], ['reset']]) {
    expect(await migrate('postgres://db.example.com/shop', ...command, '--yes')).toMatchObject({
      code: 1,
      err: 'The database is on db.example.com. This is for one of this machine.\n',
    })
  }
  await using database = await createEmptyDatabase()
  await migrate(database.url)
  expect(await migrate(database.url, 'reset')).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^All rows of .*accounts.* go\.\nNothing was changed\. .*--yes$/m),
  })
  expect(await migrate(database.url, 'reset', '--yes')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^The tables of .*accounts.* are new\.$/m),
  })
}, 60_000)
