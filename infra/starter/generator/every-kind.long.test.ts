import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listFiles } from '../list-files.ts'
import { must, openClone, type Clone, type Ended } from './open-clone.ts'

const CAPABILITIES = ['database', 'session', 'queue']
const SUBSETS = Array.from({ length: 8 }, (_, bits) => CAPABILITIES.filter((_, n) => bits & (1 << n)))

/** Every kind with every combination of `--with`, except a worker with sessions. */
const WISHES = ['http', 'worker', 'http+worker'].flatMap((kind, k) =>
  SUBSETS.filter((subset) => kind !== 'worker' || !subset.includes('session')).map((subset) => ({
    // Two words, so that a mixed-up spelling (kebab, snake, camel case) is found.
    name: `kind-${'abc'[k]}${subset.map((word) => word[0]).join('')}`,
    kind,
    subset,
  })),
)

// The whole result is compared, so that a failure shows the output.
const DONE = { code: 0, signal: undefined, output: expect.any(String) }
const SILENT = { ...DONE, output: '' }

let clone: Clone
let lockfile: string
beforeAll(async () => {
  clone = await openClone()
  lockfile = await readFile(join(clone.root, 'pnpm-lock.yaml'), 'utf8')
}, 120_000)
afterAll(() => clone[Symbol.asyncDispose]())

test('all of them are made, also when several commands run at once', { timeout: 120_000 }, async () => {
  const make = async ({ name, kind, subset }: (typeof WISHES)[number]): Promise<unknown> =>
    clone.run('infra/generator/new.ts', [name, '--kind', kind, '--with', subset.join(','), '--force'])
  const jobs = [
    ...WISHES.map((wish) => () => make(wish)),
    () => clone.run('infra/generator/new.ts', ['kind-package', '--kind', 'package', '--force']),
  ]
  const ended: unknown[] = []
  await Promise.all(
    [1, 2, 3].map(async () => {
      for (let next = jobs.shift(); next; next = jobs.shift()) ended.push(await next())
    }),
  )
  expect(ended).toHaveLength(WISHES.length + 1)
  for (const each of ended) expect(each).toEqual(DONE)
})

test('a worker that people should sign in to is refused', async () => {
  const { code, output } = await clone.run('infra/generator/new.ts', [
    'kind-d',
    '--kind',
    'worker',
    '--with',
    'session',
    '--force',
  ])
  expect([code, output]).toEqual([1, expect.stringContaining('Nobody signs in to a worker')])
})

test('what is not committed is in the way, unless one says --force', async () => {
  const { code, output } = await clone.run('infra/generator/new.ts', ['kind-d'])
  expect([code, output]).toEqual([1, expect.stringContaining('There are changes that are not committed')])
})

test('a dry run prints a patch that git takes, and changes nothing', async () => {
  const before = await clone.status()
  const { code, output } = await clone.run('infra/generator/new.ts', ['kind-d', '--dry-run'])
  expect(code).toBe(0)
  expect(await clone.status()).toBe(before)
  const patch = join(clone.root, '.dev/kind-d.patch')
  await writeFile(patch, output)
  await must(clone.git('apply', '--check', patch))
  expect(output).toContain('+++ b/apps/kind-d/src/server.ts')
})

test('each has what it asked for, and nothing of what it did not', async () => {
  for (const { name, kind, subset } of WISHES) {
    const folder = join(clone.root, 'apps', name)
    const { dependencies, processes } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const hasWorker = kind !== 'http'
    const hasQueue = hasWorker || subset.includes('queue')
    const hasDatabase = hasQueue || subset.includes('database')
    expect({
      name,
      server: existsSync(join(folder, 'src/server.ts')),
      worker: existsSync(join(folder, 'src/worker.ts')),
      queue: '@repo/queue' in dependencies,
      database: '@repo/database' in dependencies,
      session: '@repo/session' in dependencies,
      tables: existsSync(join(folder, 'schema.prisma')),
      processes: Object.keys(processes),
    }).toEqual({
      name,
      server: kind !== 'worker',
      worker: hasWorker,
      queue: hasQueue,
      database: hasDatabase,
      session: subset.includes('session'),
      tables: hasDatabase,
      processes: [...(kind === 'worker' ? [] : [name]), ...(hasWorker ? [`${name}-worker`] : [])],
    })
  }
})

test('nothing in them still has the name of a template', async () => {
  for (const { name } of WISHES) {
    const folder = join(clone.root, 'apps', name)
    for (const path of (await listFiles(folder)).filter((path) => !path.startsWith('node_modules'))) {
      expect(await readFile(join(folder, path), 'utf8')).not.toMatch(/(any|own)[-_]?name|template/i)
    }
  }
})

describe('pnpm add-to', () => {
  test('wires an app as if it had been asked for at first', async () => {
    const given = {
      'kind-a': ['session', 'database', 'queue'],
      'kind-ad': ['queue', 'session'],
      'kind-as': ['queue'],
    }
    for (const [name, words] of Object.entries(given))
      for (const word of words) expect(await addTo(name, word)).toEqual(DONE)
    const whole = await readWiring('kind-cdsq')
    for (const name of Object.keys(given)) expect(await readWiring(name)).toEqual(whole)
  })

  test('leaves what its author has written', async () => {
    const folder = join(clone.root, 'apps/kind-ads')
    const edit = async (path: string, from: string, to: string): Promise<void> =>
      writeFile(join(folder, path), (await readFile(join(folder, path), 'utf8')).replace(from, to))
    await edit('src/env.ts', '...databaseEnv }', '...databaseEnv, SPEED: Type.Integer({ default: 7 }) }')
    await edit('src/app.ts', 'env, checks', 'env, bodyLimit: 2000,\n checks')
    expect(await addTo('kind-ads', 'queue')).toEqual(DONE)
    for (const path of ['src/env.ts', 'src/worker-env.ts'])
      expect(await readFile(join(folder, path), 'utf8')).toContain('SPEED: Type.Integer({ default: 7 })')
    expect(await readFile(join(folder, 'src/app.ts'), 'utf8')).toContain('bodyLimit: 2000')
    await clone.exec('oxfmt', ['apps/kind-ads'])
  })

  test.each([
    ['kind-b', 'session', /Nobody signs in to a worker/],
    ['kind-cdsq', 'database', /has tables of its own already/],
    ['kind-e', 'database', /There is no app kind-e/],
    ['web', 'database', /apps\/web.* is not in the form that new services have/],
    ['web', 'mail', /mail: expected one of database, session, queue/],
  ])('refuses %s %s, and changes nothing', async (name, word, reason) => {
    const before = await clone.status()
    const { code, output } = await addTo(name, word)
    expect([code, output]).toEqual([1, expect.stringMatching(reason)])
    expect(await clone.status()).toBe(before)
  })
})

test(
  'pnpm finds its lockfile as it would have written it, without a network',
  { timeout: 60_000 },
  async () => {
    const made = await readFile(join(clone.root, 'pnpm-lock.yaml'), 'utf8')
    expect(made).not.toBe(lockfile)
    expect(await clone.pnpm('install', '--offline', '--trust-lockfile', '--frozen-lockfile')).toEqual(DONE)
    expect(
      await clone.pnpm('install', '--offline', '--trust-lockfile', '--no-frozen-lockfile', '--lockfile-only'),
    ).toMatchObject({ code: 0 })
    expect(await readFile(join(clone.root, 'pnpm-lock.yaml'), 'utf8')).toBe(made)
  },
)

test('types, lint, format, structure and derived files are in order', { timeout: 240_000 }, async () => {
  expect(await clone.run('infra/dev/make.ts')).toEqual(DONE)
  expect(await clone.exec('tsc', [])).toEqual(SILENT)
  expect(await clone.exec('oxlint', ['--deny-warnings', 'apps', 'packages'])).toEqual(DONE)
  expect(await clone.exec('oxfmt', ['--check', 'apps', 'packages'])).toEqual(DONE)
  expect(await clone.run('infra/check/rules.ts')).toEqual(SILENT)
  expect(await clone.run('infra/deploy/main.ts', ['--check'])).toEqual(DONE)
})

test('once all are retired, nothing is left', { timeout: 120_000 }, async () => {
  for (const { name } of [...WISHES, { name: 'kind-package' }]) {
    expect(await clone.run('infra/generator/retire.ts', [name, '--force'])).toEqual(DONE)
  }
  expect(await clone.status()).toBe('')
  expect(await readFile(join(clone.root, 'pnpm-lock.yaml'), 'utf8')).toBe(lockfile)
})

function addTo(name: string, word: string): Promise<Ended> {
  return clone.run('infra/generator/add-to.ts', [name, word, '--force'])
}

/** The lines that connect an app to its stores, sorted, without its name and without its example. */
async function readWiring(name: string): Promise<Record<string, unknown>> {
  const files = ['app', 'database', 'env', 'resources', 'server', 'start-jobs', 'worker', 'worker-env'].map(
    (file) => `src/${file}.ts`,
  )
  const wiring: Record<string, unknown> = {}
  for (const path of [...files, 'test/signed-in.ts', 'package.json']) {
    const text = await readFile(join(clone.root, 'apps', name, path), 'utf8')
    const renamed = text.replaceAll(name, 'it').replaceAll(name.replaceAll('-', '_'), 'it')
    const isExample = /item|greet|finish|jobs: \[|holds open|@fastify\/error/i
    wiring[path] = renamed
      .split('\n')
      .filter((line) => !isExample.test(line))
      .sort()
  }
  return wiring
}
