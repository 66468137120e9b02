import { readdir, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GUESS_LIMITS } from '../src/domain/limit-guesses.ts'
import { PASSWORD_COST } from '../src/domain/password-hasher.ts'
import { openApp, type OpenApp } from './open-app.ts'

let opened: OpenApp
let readme: string
let paths: Record<string, Record<string, Operation>>

interface Operation {
  requestBody?: { content: { 'application/json': { schema: { properties: object } } } }
  responses: Record<string, { description: string }>
}

beforeAll(async () => {
  opened = await openApp()
  readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  paths = (await opened.app.inject('/openapi.json')).json().paths
})
afterAll(() => opened[Symbol.asyncDispose]())

function whoMay(responses: Operation['responses']): string {
  if (responses[403]?.description.includes('ROLE_MISSING')) return 'admin'
  if (responses[403]?.description.includes('SESSION_NOT_FRESH')) return 'fresh-user'
  return responses[401]?.description.includes('SIGNED_OUT') ? 'user' : 'public'
}

/** The cells of each row whose first cell matches. */
function rows(firstCell: RegExp): string[][] {
  const cells = readme
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
  return cells.map(([, ...row]) => row).filter(([first = '']) => firstCell.test(first))
}

test('the table of routes is what the OpenAPI document says', () => {
  const documented = rows(/^(GET|POST|PUT|PATCH|DELETE) \//).map(([route, takes, who, answers]) => {
    return { route, takes, who, answers }
  })
  const actual = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { requestBody, responses }]) => ({
      route: `${method.toUpperCase()} ${path}`,
      takes: Object.keys(requestBody?.content['application/json'].schema.properties ?? {}).join(' '),
      who: whoMay(responses),
      answers: Object.keys(responses).join(' '),
    })),
  )
  expect(new Set(documented)).toEqual(new Set(actual))
  expect(documented).toHaveLength(actual.length)
})

test('every error code of this service is in the table, with its status, and no other is', async () => {
  const documented = rows(/^[A-Z_]+$/)
    .map(([code, status]) => `${code} ${status}`)
    .sort()
  const folder = new URL('../src/', import.meta.url)
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const sources = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')))
  const made = sources.flatMap((source) =>
    [...source.matchAll(/createError\(\s*'(\w+)',\s*'[^']*',\s*(\d+)/g)].map(
      ([, code, status]) => `${code} ${status}`,
    ),
  )
  expect(made.length).toBe(sources.join().split('createError(').length - 1)
  expect(documented).toEqual(made.sort())

  const said = Object.values(paths).flatMap((operations) =>
    Object.values(operations).flatMap(({ responses }) =>
      Object.entries(responses).flatMap(([status, { description }]) =>
        [...description.matchAll(/`(\w+)`/g)].map(([, code]) => `${code} ${status}`),
      ),
    ),
  )
  // The codes of packages are in the tables of the packages.
  const ofPackages = ['SIGNED_OUT 401', 'ROLE_MISSING 403', 'SESSION_NOT_FRESH 403', 'LIMIT_REACHED 429']
  expect([...new Set(said)].filter((code) => !ofPackages.includes(code)).sort()).toEqual(documented)
})

test('the memory that hashing takes is what the text says', () => {
  expect(readme).toContain(`at most ${Math.round((2 * PASSWORD_COST.memoryKiB) / 1024)} MiB`)
})

test('the limits on guessing are those in the table', () => {
  const said = rows(/^(guesser|account|network)$/).map(([counted, , attempts, every]) => [
    counted,
    attempts,
    every,
  ])
  const actual = Object.entries(GUESS_LIMITS).map(([counted, { attempts, everyMs }]) => {
    const every = everyMs < 60_000 ? `${everyMs / 1000} s` : `${everyMs / 3_600_000} h`
    return [counted, `${attempts}`, every]
  })
  expect(said).toEqual(actual)
})
