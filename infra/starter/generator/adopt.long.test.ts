import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { listPaths, parts } from '../../generator/plan-adoption.ts'
import { listExamples, must, openClone, type Clone, type Ended } from './open-clone.ts'

// `pnpm adopt`, the first command that a team runs in its clone: with each choice alone, with none, and with all.

const MAILED_LINKS = 'apps/accounts/migrations/20261130130000_mailed_links'

const CHOICES = ['example', ...Object.keys(parts)]

let clone: Clone
let examples: string[]
beforeAll(async () => {
  clone = await openClone()
  examples = await listExamples(clone)
  await clone.git('tag', 'v1')
}, 120_000)
afterAll(() => clone[Symbol.asyncDispose]())
afterEach(async () => {
  await must(clone.git('reset', '--quiet', '--hard', 'v1'))
  await must(clone.git('clean', '--quiet', '-d', '--force'))
  await clone.git('remote', 'remove', 'starter')
  await must(clone.pnpm('install', '--offline', '--frozen-lockfile', '--trust-lockfile'))
}, 60_000)

function adopt(...args: string[]): Promise<Ended> {
  return clone.pnpm('adopt', ...args)
}

/** The parts that are there, and the lines of other files that still name a part which is gone. */
async function look(): Promise<{ there: string[]; named: string }> {
  const entries = Object.entries(parts)
  const isShared = (path: string): boolean =>
    entries.filter(([, part]) => part.paths.some((other) => other === path)).length > 1
  const there = entries
    .filter(
      ([, { paths }]) =>
        listPaths(
          clone.root,
          paths.filter((path) => !isShared(path)),
        ).length > 0,
    )
    .map(([name]) => name)
  const gone = entries.filter(([name]) => !there.includes(name)).map(([, part]) => part)
  const paths = gone
    .flatMap((part) => part.paths)
    .filter((path) => /^[^*{]+\/[^*{]+$/.test(path) && !existsSync(join(clone.root, path)))
  const commands = gone.flatMap((part) => part.scripts).map((script) => `pnpm ${script}`)
  const words = [...paths, ...commands, 'infra/starter/', 'pnpm (bench|verify) '].join('|')
  // These may name them: decisions describe the past, the generator knows all parts, find-missing-programs checks for them.
  const elsewhere = [
    'docs/decisions',
    'docs/updating.md',
    'infra/generator',
    'infra/check/rules*',
    'infra/deploy/find-missing-programs.ts',
  ]
  const pathspec = elsewhere.map((path) => `:!${path}`)
  const { output } = await clone.git('grep', '-nE', words, '--', ...pathspec)
  const isOpen = existsSync(join(clone.root, `apps/${examples[0]}`))
  return { there: isOpen ? ['example', ...there] : there, named: output }
}

// What each choice alone could break. All checks are run on what keeps nothing, and on what keeps all but the examples.
const CHECKS = ['types', 'rules', 'drift']

test.each(CHOICES)(
  'with %s alone it is there, and nothing names the rest',
  { timeout: 240_000 },
  async (choice) => {
    const { output } = await must(adopt('shop', '--keep', choice))
    const needed = ['example', 'mail'].includes(choice) ? ['queue'] : []
    expect(output.includes('queue is kept, too')).toBe(needed.length > 0)
    const { there, named } = await look()
    expect({ there: there.toSorted(), named }).toEqual({ there: [choice, ...needed].toSorted(), named: '' })
    await clone.commit()
    await must(clone.pnpm('check', ...CHECKS))
  },
)

test('the README, the CI and the notice are the team’s own', { timeout: 120_000 }, async () => {
  await must(clone.git('remote', 'add', 'origin', 'https://example.com/starter.git'))
  const { output } = await must(adopt('shop', '--keep', 'compose,kubernetes'))
  expect(output).toMatch(/You own \d+ files of \d+ lines, \d+ of them in tests\./)
  const read = (path: string): Promise<string> => readFile(join(clone.root, path), 'utf8')
  const readme = await read('README.md')
  expect(readme).toMatch(/^# shop\n/)
  expect(readme).toContain('## Every day')
  expect(readme).toContain('a clone of Nonstick v1.')
  expect(readme).not.toMatch(/pnpm (bench|verify|prove)|<!-- README/)
  expect(await read('.github/workflows/ci.yml')).not.toMatch(/\.ci\/run|pnpm prove/)
  expect(await read('apps/web/page/index.html')).toContain('<title>Shop</title>')
  expect(await read('NOTICE')).toMatch(/^shop began as a clone of Nonstick v1, .*\n\nMIT License\n/)
  expect(JSON.parse(await read('package.json'))).toMatchObject({ name: 'shop', private: true })
  expect((await clone.git('remote')).output).toBe('starter\n')

  // Of the starter's name, only labels and metrics are left where the team deploys.
  const places = ['infra/deploy', 'docs/operations.md', 'docs/architecture.md', '.github', 'apps/web/page']
  const { output: named } = await clone.git('grep', '-hioE', 'nonstick[a-z_/-]*', '--', ...places)
  expect([...new Set(named.trim().split('\n'))].toSorted()).toEqual([
    'nonstick/needs-',
    'nonstick/needs-database',
    'nonstick/needs-session',
    'nonstick/stage',
    'nonstick_queue_waiting',
  ])
  expect(await read('infra/deploy/compose/compose.yaml')).toContain('image: shop/accounts')
  await must(clone.pnpm('check', 'drift', 'formatting'))
})

test(
  'it may be asked for again, to take more away, and what a merge has brought back',
  { timeout: 240_000 },
  async () => {
    await must(adopt('shop', '--keep', 'all'))
    await mkdir(join(clone.root, 'infra/starter'))
    await writeFile(join(clone.root, 'infra/starter/back.ts'), 'export {}\n')
    await clone.commit()
    const readme = await readFile(join(clone.root, 'README.md'), 'utf8')
    await must(adopt('shop', '--keep', 'kubernetes'))
    expect(await look()).toEqual({ there: ['kubernetes'], named: '' })
    expect(existsSync(join(clone.root, 'infra/starter'))).toBe(false)
    // The tables may be in a database by now.
    expect(existsSync(join(clone.root, MAILED_LINKS))).toBe(true)
    expect(await readFile(join(clone.root, 'README.md'), 'utf8')).toBe(
      readme.replaceAll(/^\| `pnpm (prove|jobs)` .*\n/gm, ''),
    )
    await clone.commit()
    await must(clone.pnpm('check', ...CHECKS))
  },
)

test('what cannot be meant is refused, and a dry run does nothing', async () => {
  for (const args of [['shop'], ['--keep', 'all'], ['Shop', '--keep', 'all'], ['shop', '--keep', 'docker']])
    expect(await adopt(...args)).toMatchObject({ code: 1 })
  const { output } = await must(adopt('shop', '--keep', 'nothing', '--dry-run'))
  expect(output).toContain('  - infra/starter\n')
  expect(output).toMatch(/You would own \d+ files/)
  expect(await clone.status()).toBe('')
})

/** Lines of text, tests included. */
const MOST_LINES = 24_000

test('a clone that keeps nothing is small and whole, and its tests pass', { timeout: 900_000 }, async () => {
  const { output } = await must(adopt('shop', '--keep', 'nothing'))
  const [, lines] = /You own \d+ files of (\d+) lines/.exec(output)!
  expect(Number(lines)).toBeLessThanOrEqual(MOST_LINES)
  expect(listPaths(clone.root, ['packages/*/test', MAILED_LINKS])).toEqual([])
  const { processes } = JSON.parse(await readFile(join(clone.root, 'apps/accounts/package.json'), 'utf8'))
  expect(Object.keys(processes)).toEqual(['accounts'])
  const worker = await clone.pnpm('new', 'later', '--kind', 'worker', '--force')
  expect(worker).toMatchObject({ code: 1, output: expect.stringContaining('expected http, package') })
  expect(await look()).toEqual({ there: [], named: '' })
  await clone.commit()
  await must(clone.pnpm('check'))
  await must(clone.pnpm('test'))
})

test(
  'a clone that keeps all but the examples is whole, and its tests pass',
  { timeout: 900_000 },
  async () => {
    const keep = Object.keys(parts)
    await must(adopt('shop', '--keep', keep.join(',')))
    expect(await look()).toEqual({ there: keep, named: '' })
    await clone.commit()
    await must(clone.pnpm('check'))
    // The other members are those of the starter, letter for letter, and import nothing that has gone.
    await must(clone.pnpm('test', 'infra', 'web', 'accounts', 'migrate', 'database'))
  },
)
