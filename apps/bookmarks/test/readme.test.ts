import { readdirSync, readFileSync } from 'node:fs'
import { parseEnv } from '@repo/config'
import { beforeAll, expect, test } from 'vitest'
import { buildApp } from '../src/app.ts'
import { limits } from '../src/domain/bookmark.ts'
import { serverEnv } from '../src/env.ts'
import { openResources } from '../src/resources.ts'

interface Operation {
  parameters?: { name: string; in: string }[]
  requestBody?: { content: Record<string, { schema: { properties: object } }> }
  responses: Record<string, { description: string }>
}

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
let operations: [string, Operation][]

beforeAll(async () => {
  // The OpenAPI document is generated without any store, so no store has to run.
  const env = parseEnv(serverEnv, {
    NODE_ENV: 'test',
    PORT: '0',
    LOG_LEVEL: 'silent',
    PUBLIC_ORIGIN: 'http://localhost',
    DATABASE_URL: 'postgres://nowhere.invalid/none',
    SESSION_STORE_URL: 'postgres://nowhere.invalid/none',
    SESSION_SECRETS: 'x'.repeat(32),
  })
  await using resources = await openResources(env)
  const app = await buildApp(env, resources)
  const { paths } = (await app.inject('/openapi.json')).json()
  await app.close()
  operations = Object.entries<Record<string, Operation>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path.replace(/(.)\/$/, '$1')}`,
      operation,
    ]),
  )
})

test('the table of routes is what the OpenAPI document says', () => {
  const documented = rows(/^(GET|POST|PATCH|DELETE) \//).map(([route, takes = '', answers]) => ({
    route,
    takes: takes.match(/\w+/g)?.filter((word) => !['or', 'a', 'form'].includes(word)) ?? [],
    answers,
  }))
  const actual = operations.map(([route, { parameters = [], requestBody, responses }]) => {
    const contents = Object.values(requestBody?.content ?? {})
    const queries = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name)
    return {
      route,
      takes: [...queries, ...contents.flatMap(({ schema }) => Object.keys(schema.properties))],
      answers: Object.keys(responses).join(' '),
    }
  })
  expect(new Set(documented)).toEqual(new Set(actual))
  expect(documented).toHaveLength(actual.length)
})

test('every error code of this service is in the table, with its status, and no other is', () => {
  const folder = new URL('../src/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  const sources = files.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n')
  const made = [...sources.matchAll(/createError\(\s*'(\w+)'/g)].map(([, code]) => code!).sort()
  expect(made).toHaveLength(sources.split('createError(').length - 1)

  const said = operations.flatMap(([, { responses }]) =>
    Object.entries(responses).flatMap(([status, { description }]) =>
      [...description.matchAll(/`(\w+)`/g)].map(([, code]) => `${code} ${status}`),
    ),
  )
  const documented = rows(/^[A-Z_]+$/).map(([code, status]) => `${code} ${status}`)
  const ofPackages = /^(SIGNED_OUT|QUERY_|QUERIES_)/
  expect(documented).toEqual([...new Set(said)].filter((code) => !ofPackages.test(code)).sort())
  expect(documented.map((row) => row.split(' ')[0])).toEqual(made)
})

test('the limits in the text are those in the code', () => {
  expect(readme).toContain(`titles at ${inWords(limits.title)} characters, notes at ${inWords(limits.notes)}`)
  expect(readme).toContain(`tags at ${limits.tags} of ${limits.tag}`)
  expect(readme).toContain(`A link longer than ${inWords(limits.url)} characters is skipped`)
})

function inWords(count: number): string {
  return count.toLocaleString('en')
}

/** The cells of each row of a table whose first cell matches. */
function rows(first: RegExp): string[][] {
  const cells = readme
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  return cells.map(([, ...row]) => row).filter(([cell = '']) => first.test(cell))
}
