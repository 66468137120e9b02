import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { findViolations } from './rules.ts'

const houses: string[] = []
afterEach(() => houses.splice(0).forEach((house) => rmSync(house, { recursive: true })))

const manifest = (name: string, dependencies = {}) => JSON.stringify({ name: `@repo/${name}`, dependencies })

/** A repository without violations, plus these files. */
function buildHouse(files: Record<string, string>): string {
  const house = mkdtempSync(join(tmpdir(), 'house-'))
  houses.push(house)
  const all = {
    'apps/one/package.json': manifest('one'),
    'apps/one/src/server.ts': 'export {}',
    'apps/two/package.json': manifest('two'),
    'packages/leaf/package.json': manifest('leaf'),
    'packages/other/package.json': manifest('other'),
    'infra/package.json': manifest('infra'),
    ...files,
  }
  for (const [file, text] of Object.entries(all)) {
    mkdirSync(join(house, dirname(file)), { recursive: true })
    writeFileSync(join(house, file), text)
  }
  return house
}

test('a house in order has no violations', () => {
  const generated = { '@prisma/client': 'catalog:' }
  const files = { 'apps/one/package.json': manifest('one', generated), 'apps/one/schema.prisma': '' }
  expect(findViolations(buildHouse(files))).toEqual([])
  expect(findViolations(buildHouse({ 'packages/leaf/test/a.test.ts': "import '@repo/testing'" }))).toEqual([])
})

test.each([
  [
    'a package that imports a package',
    { 'packages/leaf/src/a.ts': "import { b } from '@repo/other'" },
    'leaves',
  ],
  ['a dynamic import of a package', { 'packages/leaf/src/a.ts': "await import('@repo/other')" }, 'leaves'],
  [
    'an import over many lines',
    { 'packages/leaf/src/a.ts': "import {\n  b,\n} from '@repo/other'" },
    'leaves',
  ],
  [
    'an app that depends on an app',
    { 'apps/one/package.json': '{"name":"@repo/one","devDependencies":{"@repo/two":"workspace:*"}}' },
    'apps import no app',
  ],
  [
    'a relative import out of a member',
    { 'apps/one/src/a.ts': "import '../../two/src/b.ts'" },
    'reaches into another member',
  ],
  [
    'an app whose code imports the testing package',
    { 'apps/one/src/a.ts': "import '@repo/testing'" },
    'only tests',
  ],
  [
    'a package that names an app',
    { 'packages/leaf/src/a.ts': "export const place = 'apps/two/src'" },
    'packages name no app',
  ],
  [
    'a domain file that imports Fastify',
    { 'apps/one/src/domain/a.ts': "import type { X } from 'fastify'" },
    'no Fastify',
  ],
  [
    'a domain file that reads the process',
    { 'apps/one/src/domain/a.ts': 'export const a = process.env.A' },
    'no process',
  ],
  [
    'a template of an app that depends on an app',
    {
      'infra/package.json': '{"name":"@repo/infra"}',
      'infra/generator/templates/http/package.json':
        '{"name":"@repo/template-http","dependencies":{"@repo/two":"workspace:*"}}',
      'infra/generator/templates/http/src/a.ts': "import '@repo/two'",
    },
    'apps import no app',
  ],
  [
    'a template of a package that imports a package',
    {
      'infra/package.json': '{"name":"@repo/infra"}',
      'infra/generator/templates/package/package.json': '{"name":"@repo/template-package"}',
      'infra/generator/templates/package/src/a.ts': "import { b } from '@repo/other'",
    },
    'leaves',
  ],
  [
    'infra that imports what proves the starter',
    { 'infra/check/a.ts': "import '../starter/b.ts'", 'infra/starter/b.ts': '' },
    'infra/starter goes',
  ],
  ['a file whose name says nothing', { 'apps/one/src/utils.ts': '' }, 'says nothing'],
  ['a folder whose name says nothing', { 'packages/leaf/src/helpers/a.ts': '' }, 'says nothing'],
  [
    'a dependency that nothing imports',
    { 'packages/leaf/package.json': '{"name":"@repo/leaf","dependencies":{"pg":"catalog:"}}' },
    'no file imports',
  ],
])('%s is found', (_, files, words) => {
  const violations = findViolations(buildHouse(files))
  expect(violations).toHaveLength(1)
  expect(violations[0]!.problem).toContain(words)
})

// Two ways to name the same folder.
const STARTS = [
  "await fleet(new URL('../../two/', import.meta.url))",
  "await startProcess({ cwd: join(root, 'apps/two') })",
]

test.each(STARTS)('an app whose test says %s is found, until turbo knows of it', (start) => {
  const files = { 'apps/one/test/a.test.ts': start, 'turbo.json': '{"tasks":{"test":{}}}' }
  const [violation, ...others] = findViolations(buildHouse(files))
  expect(others).toEqual([])
  expect(violation!.file).toBe('apps/one/turbo.json')
  // The text that the message says to write must satisfy the rule.
  const told = /Write (.*)$/.exec(violation!.problem)![1]!
  expect(findViolations(buildHouse({ ...files, 'apps/one/turbo.json': told }))).toEqual([])
  const known = '{"tasks":{"test":{"inputs":["$TURBO_ROOT$/apps/two/src/**"]}}}'
  expect(findViolations(buildHouse({ ...files, 'turbo.json': known }))).toEqual([])
  const uncached = '{"tasks":{"@repo/one#test":{"cache":false}}}'
  expect(findViolations(buildHouse({ ...files, 'turbo.json': uncached }))).toEqual([])
})

test('an app that calls a service is found, until turbo knows of it', () => {
  const files = {
    'apps/one/package.json': '{"name":"@repo/one","processes":{"one":{"calls":["second"]}}}',
    'apps/one/test/a.test.ts': '',
    'apps/two/package.json': '{"name":"@repo/two","processes":{"second":{"route":"/api/two"}}}',
    'turbo.json': '{"tasks":{"test":{}}}',
  }
  const [violation, ...others] = findViolations(buildHouse(files))
  expect(others).toEqual([])
  const told = /its tests start apps\/two.*Write (.*)$/.exec(violation!.problem)![1]!
  expect(findViolations(buildHouse({ ...files, 'apps/one/turbo.json': told }))).toEqual([])
})

test('what infra runs of an app imports what infra gives it, and nothing else of an app does', () => {
  const files = {
    'apps/one/test/journeys.ts': "import '../../../infra/browser/visit.ts'",
    'apps/one/test/prove/attacks/a.ts': "import '../../../../../infra/prove/attack.ts'",
    'apps/one/test/starter/a.ts': "import '../../../../infra/starter/verify/ground.ts'",
  }
  expect(findViolations(buildHouse(files))).toEqual([])
  const wrong = {
    'apps/one/src/a.ts': "import '../../../infra/formation.ts'",
    'apps/one/test/a.test.ts': "import '../../../infra/formation.ts'",
    'apps/one/test/prove/a.ts': "import '../../../../infra/starter/verify/ground.ts'",
    'apps/one/test/starter/a.ts': "import '../../../two/src/b.ts'",
  }
  const found = findViolations(
    buildHouse({ ...wrong, 'apps/one/turbo.json': '{"tasks":{"test":{"cache":false}}}' }),
  )
  expect(found.map(({ file }) => file)).toEqual(Object.keys(wrong))
})

test('a helper of tests, a template and a package are asked the same', () => {
  const files = {
    'apps/one/test/start.ts': STARTS[0]!,
    'packages/leaf/test/a.test.ts': "await fleet(new URL('../../../apps/two/', import.meta.url))",
    'infra/package.json': '{"name":"@repo/infra"}',
    'infra/generator/templates/http/package.json': '{"name":"@repo/template-http"}',
    'infra/generator/templates/http/test/server.test.ts':
      "await fleet(new URL('../../two', import.meta.url))",
  }
  expect(findViolations(buildHouse(files)).map(({ file }) => file)).toEqual([
    'apps/one/turbo.json',
    'packages/leaf/turbo.json',
    'infra/generator/templates/http/turbo.json',
  ])
})

test('an app may start itself, and a package may give an app as an example', () => {
  const files = {
    'apps/one/test/a.test.ts': "await fleet(new URL('..', import.meta.url)); join('apps', 'one'); 'apps/one'",
    'packages/leaf/test/a.test.ts': "spell('apps/two')",
  }
  expect(findViolations(buildHouse(files))).toEqual([])
})

test('what a merge leaves of a removed member, its ignored files, is no member', () => {
  const left = 'node_modules/one/index.ts'
  const folders = ['apps/two', 'packages/two', 'infra/generator/templates/two']
  const files = Object.fromEntries(folders.map((folder) => [`${folder}/${left}`, "import '@repo/one'"]))
  expect(findViolations(buildHouse(files))).toEqual([])
})

test('a template of an app imports packages, as an app does', () => {
  const files = {
    'infra/package.json': '{"name":"@repo/infra"}',
    'infra/generator/templates/http/package.json':
      '{"name":"@repo/template-http","dependencies":{"@repo/leaf":"workspace:*"}}',
    'infra/generator/templates/http/src/a.ts': "import { b } from '@repo/leaf'",
  }
  expect(findViolations(buildHouse(files))).toEqual([])
})

test('a comment imports nothing and reads no process', () => {
  const text = "// import { b } from '@repo/other'\n/* process.env */\nexport {}"
  expect(
    findViolations(buildHouse({ 'apps/one/src/domain/a.ts': text, 'packages/leaf/src/a.ts': text })),
  ).toEqual([])
})

test('a floor plan that names what is not there, or leaves out a room of infra, is wrong', () => {
  const rooms = {
    'infra/dev/main.ts': '',
    'infra/test/main.ts': '',
    'infra/formation.ts': '',
    'infra/formation.test.ts': '',
  }
  const problemsOf = (plan: string): string[] =>
    findViolations(buildHouse({ ...rooms, 'docs/architecture.md': planOf(plan) })).map(
      ({ problem }) => problem,
    )
  expect(problemsOf('  formation.ts   the list\n  dev/ test/   the day, and dev/more\n')).toEqual([])
  expect(problemsOf('  formation.ts   the list\n  dev/ old/   the day\n')).toEqual([
    'the floor plan names infra/old/, which is not there',
    'the floor plan does not name infra/test/',
  ])
})

function planOf(rooms: string): string {
  return `# Architecture\n\n\`\`\`\napps/   processes\n  one/   it\ninfra/   tools\n${rooms}\`\`\`\n`
}
