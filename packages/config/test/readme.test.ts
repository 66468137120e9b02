import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { parseEnv } from '../src/index.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

test('a wrong environment reads as the README shows', () => {
  const schema = Type.Object({
    PORT: Type.Integer({ minimum: 0, maximum: 65_535 }),
    DATABASE_URL: Type.String({ format: 'uri' }),
  })
  const shown = /^```\n(PORT[^`]+)\n```$/m.exec(readme)?.[1]

  expect(shown).toBeDefined()
  expect(() => parseEnv(schema, { PORT: 'x' })).toThrow(shown)
})

test('texts are read as the README says', () => {
  const schema = Type.Object({
    A: Type.Integer(),
    B: Type.Number(),
    C: Type.Boolean(),
    D: Type.Array(Type.String()),
  })

  expect(parseEnv(schema, { A: '42', B: '0.5', C: 'true', D: 'new-secret,old-secret' })).toEqual({
    A: 42,
    B: 0.5,
    C: true,
    D: ['new-secret', 'old-secret'],
  })
  for (const text of ['42', '0.5', 'new-secret,old-secret']) expect(readme).toContain(`\`${text}\``)
})
