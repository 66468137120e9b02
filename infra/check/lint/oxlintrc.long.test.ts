import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')
const resolve = createRequire(join(ROOT, 'package.json')).resolve
const OXLINT = join(dirname(resolve('oxlint/package.json')), 'bin/oxlint')

interface Config {
  jsPlugins: string[]
  rules: Record<string, unknown>
}

let folder: string
let config: Config

/** A folder with the lint configuration of this repository. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nonstick-lint-'))
  config = JSON.parse(await readFile(join(ROOT, '.oxlintrc.json'), 'utf8')) as Config
  const jsPlugins = config.jsPlugins.map((name) => resolve(name))
  await writeFile(join(folder, '.oxlintrc.json'), JSON.stringify({ ...config, jsPlugins }))
})

afterAll(() => rm(folder, { recursive: true }))

/** The rules that report each of these modules, by path. */
async function lint(modules: Record<string, string>): Promise<Record<string, string[]>> {
  for (const [path, module] of Object.entries(modules)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), module)
  }
  const paths = Object.keys(modules)
  const run = promisify(execFile)(process.execPath, [OXLINT, '--format=json', ...paths], { cwd: folder })
  const { stdout } = await run.catch((error: { stdout: string }) => error)
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { code: string; filename: string }[] }
  const rulesOf = (path: string): string[] =>
    diagnostics.filter(({ filename }) => filename === path).map(({ code }) => code)
  return Object.fromEntries(paths.map((path) => [path, rulesOf(path)]))
}

test.each([
  ['pattern: "^a*$"', ['nonstick(visible-patterns)']],
  ['pattern: `^${name}*$`', ['nonstick(visible-patterns)']],
  ['pattern: /^a*$/.source', []],
  ['pattern: /^a*a*$/.source', ['regexp(no-super-linear-backtracking)']],
  ['names: text.split(/\\s*,/)', ['regexp(no-super-linear-move)']],
  ['names: text.split(",").map((name) => name.trim())', []],
])(
  'in an app or a package, a regular expression is visible and takes no quadratic time: %s',
  async (property, rules) => {
    const module = `export const read = (text, name) => ({ name, text, ${property} })`
    const paths = ['apps/web/src/a.ts', 'apps/web/page/a.ts', 'packages/service/src/a.ts']
    const found = await lint(Object.fromEntries(paths.map((path) => [path, module])))
    expect(found).toEqual(Object.fromEntries(paths.map((path) => [path, rules])))
  },
)

/** A module for each rule that the configuration turns on by its name: the module breaks this rule and no other. */
const MISTAKES = {
  'node/no-process-env': 'export const port = process.env.PORT',
  'typescript/no-explicit-any': 'export function read(text: any): string { return String(text) }',
  'typescript/consistent-type-imports': "import { Body } from './body.ts'\nexport type Found = Body | null",
  'import/no-cycle': "import { b } from './circle.ts'\nexport const a = (): number => b() + 1",
  'import/no-default-export': 'export default 1',
  eqeqeq: 'export const isSame = (a: number, b: number): boolean => a == b',
  'no-console': "export const greet = (): void => console.log('hello')",
  'nonstick/file-paths': "export const path = new URL('x', import.meta.url).pathname",
}

const pathOf = (rule: string): string => `apps/web/src/${basename(rule)}.ts`

test('each rule that is turned on by its name finds a mistake', async () => {
  const rules = Object.keys(config.rules).filter((rule) => config.rules[rule] !== 'off')
  expect(Object.keys(MISTAKES).sort()).toEqual(rules.sort())
  const circle = "import { a } from './no-cycle.ts'\nexport const b = (): number => a() + 1"
  await lint({ 'apps/web/src/circle.ts': circle })
  const found = await lint(
    Object.fromEntries(Object.entries(MISTAKES).map(([rule, module]) => [pathOf(rule), module])),
  )
  for (const rule of rules)
    expect(found[pathOf(rule)], rule).toEqual([expect.stringContaining(`(${basename(rule)})`)])
})

test('modules that import no more than types of each other go in a circle, too', async () => {
  const found = await lint({
    'apps/web/src/a.ts': "import type { B } from './b.ts'\nexport type A = { b: B | null }",
    'apps/web/src/b.ts': "import type { A } from './a.ts'\nexport type B = { a: A | null }",
  })
  for (const rules of Object.values(found)) expect(rules).toEqual([expect.stringContaining('(no-cycle)')])
})
