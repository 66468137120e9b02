import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { mailEnv } from '../src/index.ts'
import * as errors from '../src/mail-error.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

/** The first two cells of each row of the table under a heading. */
function tableUnder(heading: string): string[][] {
  const section = readme.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, 3)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}

test('every error code is documented with its status, and every documented code exists', () => {
  const made = Object.values(errors).map(
    (Made) => new (Made as new (word: string) => { code: string; statusCode: number })('x'),
  )
  const expected = made.map(({ code, statusCode }) => [
    code,
    /_(URL|FROM)_/.test(code) ? 'boot' : `${statusCode}`,
  ])
  expect(tableUnder('Errors')).toEqual(expected)
})

test('every variable is documented, and every documented one exists', () => {
  expect(tableUnder('Settings').map(([name]) => name)).toEqual(Object.keys(mailEnv))
})
