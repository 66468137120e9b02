import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import * as errors from '../src/limit-error.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

test('every error code is documented with its status, and every documented code exists', () => {
  const documented = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (\w+) /gm)].map(([, ...row]) => row)
  const known = Object.values(errors)
    .map((KnownError) => new KnownError() as Error & { code: string; statusCode: number })
    .map(({ code, statusCode }) => [code, statusCode === 500 ? 'boot' : `${statusCode}`])
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(known))
})

test('every property of a limit is documented, and no other', async () => {
  const source = await readFile(new URL('../src/limits.ts', import.meta.url), 'utf8')
  const declared = /interface Limit \{([^}]*)\}/.exec(source)![1]!.matchAll(/^ {2}(\w+)\??: /gm)
  const documented = readme.matchAll(/^\| `([a-z]\w+)` +\|/gm)
  expect([...documented].slice(1).map(([, name]) => name)).toEqual([...declared].map(([, name]) => name))
})
