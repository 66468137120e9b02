import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import * as errors from '../src/session-error.ts'
import { sessionEnv } from '../src/index.ts'
import { behaviours } from './behaviours/index.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
const list = await readFile(new URL('behaviours/README.md', import.meta.url), 'utf8')

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

test('the list names the thirty behaviours as the tests do', () => {
  const listed = [...list.matchAll(/^(\d+)\. (.+)$/gm)].map(([, number, claim]) => [Number(number), claim])
  expect(listed.map(([number]) => number)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
  expect(listed.filter(([number]) => number !== 29)).toEqual(
    behaviours.map(({ number, claim }) => [number, claim]),
  )
})

test('every error code is documented with its status, and every documented code exists', () => {
  const thrown = Object.values(errors)
    .map((make) => (make as (cause: unknown) => unknown)('x'))
    .map((error) => error as { code: string; statusCode: number })
  const codes = new Map(
    thrown.map(({ code, statusCode }) => [code, statusCode === 500 ? 'boot' : `${statusCode}`]),
  )
  expect(Object.fromEntries(tableUnder('Errors'))).toEqual(Object.fromEntries(codes))
})

test('every variable is documented with its default, and every documented one exists', () => {
  const expected = Object.entries(sessionEnv).map(([name, schema]) => {
    const { default: value } = schema as { default?: number }
    return [name, value === undefined ? '' : `${value}`]
  })
  expect(tableUnder('Settings')).toEqual(expected)
})
