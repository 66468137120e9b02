import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { EnvironmentError, parseEnv } from '../src/index.ts'

const schema = Type.Object({
  PORT: Type.Integer({ minimum: 0, maximum: 65_535 }),
  DRAIN_MS: Type.Integer({ minimum: 0, default: 5000 }),
  IS_VERBOSE: Type.Optional(Type.Boolean()),
  SECRETS: Type.Array(Type.String({ minLength: 8 }), { minItems: 1 }),
  LOG_LEVEL: Type.Enum(['debug', 'info'], { default: 'info' }),
  ORIGIN: Type.String({
    pattern: '^https?://',
    expected: 'an origin such as https://example.com',
    inProduction: Type.String({ pattern: '^https://', expected: 'an origin that starts with https://' }),
  }),
})

const good = { PORT: '3000', SECRETS: 'new-secret, old-secret', ORIGIN: 'https://example.com' }

function problemsOf(source: Record<string, string | undefined>): EnvironmentError {
  try {
    parseEnv(schema, source)
  } catch (error) {
    if (error instanceof EnvironmentError) return error
  }
  throw new Error('the environment was taken for a good one')
}

test('texts become the values that the schema asks for', () => {
  const env = parseEnv(schema, { ...good, IS_VERBOSE: 'false', PATH: '/bin' })

  expect(env).toEqual({
    PORT: 3000,
    DRAIN_MS: 5000,
    IS_VERBOSE: false,
    SECRETS: ['new-secret', 'old-secret'],
    LOG_LEVEL: 'info',
    ORIGIN: 'https://example.com',
  })
})

test('the result is frozen, lists included', () => {
  const env = parseEnv(schema, good)

  expect(() => Object.assign(env, { PORT: 1 })).toThrow(TypeError)
  expect(() => (env.SECRETS as string[]).push('another')).toThrow(TypeError)
})

test('every problem is named at once, in the order of the schema', () => {
  const { problems } = problemsOf({ PORT: '70000', DRAIN_MS: '1.5', IS_VERBOSE: 'yes', SECRETS: 'short' })

  expect(problems).toEqual([
    { name: 'PORT', expected: 'a whole number from 0 to 65535', isMissing: false },
    { name: 'DRAIN_MS', expected: 'a whole number of at least 0', isMissing: false },
    { name: 'IS_VERBOSE', expected: 'true or false', isMissing: false },
    {
      name: 'SECRETS',
      expected: 'a list separated by commas, at least 1, each text of at least 8 characters',
      isMissing: false,
    },
    { name: 'ORIGIN', expected: 'an origin that starts with https://', isMissing: true },
  ])
})

test('no message holds a value', () => {
  const secret = 'hunter2'
  const error = problemsOf({ PORT: secret, SECRETS: secret, LOG_LEVEL: secret, ORIGIN: secret })

  expect(error.problems).toHaveLength(4)
  expect(error.message + JSON.stringify(error) + error.stack).not.toContain(secret)
})

test('what a variable is in development is nothing in production', () => {
  const schema = Type.Object({ KEY: Type.String({ inDevelopment: 'sk_test' }) })
  for (const NODE_ENV of ['development', 'test'])
    expect(parseEnv(schema, { NODE_ENV })).toEqual({ KEY: 'sk_test' })
  expect(parseEnv(schema, { NODE_ENV: 'test', KEY: 'another' })).toEqual({ KEY: 'another' })
  for (const NODE_ENV of ['production', undefined])
    expect(() => parseEnv(schema, { NODE_ENV })).toThrow('KEY is missing')
})

test('an empty text counts as missing', () => {
  expect(parseEnv(schema, { ...good, DRAIN_MS: '', IS_VERBOSE: '' })).toMatchObject({ DRAIN_MS: 5000 })
  expect(problemsOf({ ...good, PORT: '' }).problems).toMatchObject([{ name: 'PORT', isMissing: true }])
  expect(problemsOf({ ...good, SECRETS: ' , ' }).problems).toMatchObject([{ name: 'SECRETS' }])
})

test.each(['', ' ', '0x10', '1e3', '12.5', '12abc', '--1'])('"%s" is no whole number', (text) => {
  const numbers = Type.Object({ N: Type.Integer() })

  expect(() => parseEnv(numbers, { N: text })).toThrow(EnvironmentError)
})

test.each([undefined, '', 'production', 'prod'])(
  'with NODE_ENV %s the rules of production hold',
  (NODE_ENV) => {
    const { problems } = problemsOf({ ...good, NODE_ENV, ORIGIN: 'http://example.com' })

    expect(problems).toEqual([
      { name: 'ORIGIN', expected: 'an origin that starts with https://', isMissing: false },
    ])
  },
)

test.each(['development', 'test'])('with NODE_ENV %s they do not', (NODE_ENV) => {
  expect(parseEnv(schema, { ...good, NODE_ENV, ORIGIN: 'http://localhost:3000' }).ORIGIN).toBe(
    'http://localhost:3000',
  )
})

test('what holds everywhere holds in production too', () => {
  const numbers = Type.Object({ N: Type.Integer({ maximum: 9, inProduction: Type.Integer({ minimum: 2 }) }) })

  expect(() => parseEnv(numbers, { N: '10' })).toThrow(EnvironmentError)
  expect(() => parseEnv(numbers, { N: '1' })).toThrow(EnvironmentError)
  expect(parseEnv(numbers, { N: '2' })).toEqual({ N: 2 })
})
