import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { TString, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { serviceEnv } from '../src/index.ts'

/** Rows of the README such as: | `PORT` | | The port that the process listens on | */
const documented = [
  ...readFileSync(new URL('../README.md', import.meta.url), 'utf8').matchAll(
    /^\| `([A-Z_]+)` +\| (?:`(\w\S*)`)? *\| (\D.*?) +\|$/gm,
  ),
].map(([, name, value, description]) => ({ name, default: value, description }))

type Variable = TSchema & { default?: unknown; description?: string }

test('the table of variables is the schema', () => {
  const known = Object.entries(serviceEnv as Record<string, Variable>).map(([name, variable]) => ({
    name,
    default: variable.default === undefined ? undefined : String(variable.default),
    description: variable.description,
  }))

  expect(documented).toEqual(known)
})

test.each([
  ['https://example.com', true, true],
  ['https://example.com:8443', true, true],
  ['http://localhost:3000', true, false],
  ['https://example.com/', false, true],
  ['example.com', false, false],
])('%s as PUBLIC_ORIGIN: good %s, in production too %s', (origin, isGood, isGoodInProduction) => {
  const { inProduction } = serviceEnv.PUBLIC_ORIGIN as unknown as { inProduction: TString }

  expect(Value.Check(serviceEnv.PUBLIC_ORIGIN, origin)).toBe(isGood)
  expect(Value.Check(inProduction, origin)).toBe(isGoodInProduction)
})

test.each(['loopback', '10.0.0.0/8', '127.0.0.1', 'fd00::/8', '2001:db8::1'])(
  '%s may be a trusted proxy',
  (proxy) => {
    expect(Value.Check(serviceEnv.TRUST_PROXY, [proxy])).toBe(true)
  },
)

// A number of hops is refused: with it, a client that comes by a shorter way could forge its address.
test.each([
  'true',
  '1',
  '*',
  'proxy.internal',
  '10.0.0.0/33',
  '10.0.0',
  '10.0.0.0/',
  '::g',
  'fd00::/129',
  'toString',
])('%s may not', (proxy) => {
  expect(Value.Check(serviceEnv.TRUST_PROXY, [proxy])).toBe(false)
})
