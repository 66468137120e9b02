import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import * as errors from '../src/errors.ts'

test('every error code is documented with its status, and every documented code exists', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const documented = [...readme.matchAll(/^\| `([A-Z]+_[A-Z_]+)` +\| (boot|\d{3}) /gm)].map(
    ([, ...row]) => row,
  )
  const known = Object.values(errors)
    .map((KnownError) => new KnownError() as Error & { code: string; statusCode: number })
    .map(({ code, statusCode }) => [code, statusCode === 500 ? 'boot' : `${statusCode}`])
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(known))
})
