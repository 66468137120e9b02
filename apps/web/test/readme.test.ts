import { readFile } from 'node:fs/promises'
import { serviceEnv } from '@repo/service'
import { expect, test } from 'vitest'
import { envSchema } from '../src/env.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

/** The first two cells of each row whose first cell is a word in capitals. */
const rows = [...readme.matchAll(/^\| `([A-Z_]+)`\s*\|\s*(\w*)\s*\|/gm)].map(([, word, cell]) => [
  word!,
  cell!,
])

test('the variables in the table are those that the edge reads beside what every service reads', () => {
  const own = Object.entries(envSchema.properties).filter(([name]) => !(name in serviceEnv))
  const documented = rows.filter(([word]) => word!.startsWith('UPSTREAM'))
  const actual = own.map(([name, schema]) => [name, `${(schema as { default?: number }).default ?? ''}`])
  expect(documented).toEqual(actual)
})

test('every error code of the edge is in the table, with its status, and no other is', async () => {
  const source = await readFile(new URL('../src/errors.ts', import.meta.url), 'utf8')
  const made = [...source.matchAll(/createError\(\s*'(\w+)',\s*'[^']*',\s*(\d+)/g)]
  expect(made).toHaveLength(source.split('createError(').length - 1)
  const documented = rows.filter(([word]) => !word!.startsWith('UPSTREAM'))
  expect(documented.sort()).toEqual(made.map(([, code, status]) => [code, status]).sort())
})
