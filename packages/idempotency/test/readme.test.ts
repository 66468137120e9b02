import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import * as errors from '../src/idempotency-error.ts'

const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')

test('every error code is documented with its status, and every documented code exists', () => {
  const documented = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (\w+) /gm)].map(([, ...row]) => row)
  const known = Object.values(errors)
    .map((KnownError) => new KnownError() as Error & { code: string; statusCode: number })
    .map(({ code, statusCode }) => [code, code === 'IDEMPOTENCY_INVALID' ? 'boot' : `${statusCode}`])
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(known))
})
