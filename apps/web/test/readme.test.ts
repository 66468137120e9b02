import { readFile } from 'node:fs/promises'
import { serviceEnv } from '@repo/service'
import type { FastifyError } from 'fastify'
import { expect, test } from 'vitest'
import { envSchema } from '../src/env.ts'
import * as errors from '../src/errors.ts'

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

test('every error code of the edge is in the table, with its status, and no other is', () => {
  const made = Object.values(errors).map((MadeBy) => new (MadeBy as new () => FastifyError)())
  const documented = rows.filter(([word]) => !word!.startsWith('UPSTREAM'))
  expect(documented.sort()).toEqual(made.map(({ code, statusCode }) => [code, `${statusCode}`]).sort())
})
