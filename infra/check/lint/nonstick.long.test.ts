import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const OXLINT = join(dirname(createRequire(import.meta.url).resolve('oxlint/package.json')), 'bin/oxlint')

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nonstick-lint-'))
  const config = {
    jsPlugins: [join(import.meta.dirname, 'nonstick.ts')],
    categories: { correctness: 'off' },
    rules: { 'nonstick/share-nothing': 'error', 'nonstick/file-paths': 'error' },
  }
  await writeFile(join(folder, '.oxlintrc.json'), JSON.stringify(config))
})

afterAll(() => rm(folder, { recursive: true }))

/** The messages of the rules about a module. */
function lint(module: string): Promise<string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<string[]>()
  void writeFile(join(folder, 'module.ts'), module).then(() => {
    const args = [OXLINT, '--format=json', 'module.ts']
    execFile(process.execPath, args, { cwd: folder }, (_error, stdout, stderr) => {
      try {
        const { diagnostics } = JSON.parse(stdout) as { diagnostics: { message: string }[] }
        resolve(diagnostics.map(({ message }) => message))
      } catch {
        reject(new Error(stdout + stderr))
      }
    })
  })
  return promise
}

test.each([
  ['a variable', 'let visits = 0', '"visits" of this module can change.'],
  ['an exported variable', 'export let visits = 0', '"visits" of this module can change.'],
  [
    'a map that begins empty',
    'const carts = new Map<string, string>()',
    '"carts" of this module waits to be filled.',
  ],
  [
    'a list that begins empty',
    'export const seen: string[] = []',
    '"seen" of this module waits to be filled.',
  ],
  ['an object that begins empty', 'const cache = {} as Cache', '"cache" of this module waits to be filled.'],
  [
    'a collection that is changed later',
    "const users = new Set(['root'])\nexport function add(name) { users.add(name) }",
    '"users" of this module is changed further down.',
  ],
  [
    'a property that is set',
    'const state = { count: 0 }\nexport const hit = () => state.count++',
    '"state" of this module is changed further down.',
  ],
  [
    'globalThis',
    'export function keep(user) { globalThis.user = user }',
    'globalThis belongs to this process alone.',
  ],
])('%s at the top of a module is named, with what to do instead', async (_what, module, sentence) => {
  const [said, ...more] = await lint(module)
  expect(said).toContain(
    `${sentence} Pass it in, hold it in what openResources opens, or keep it in a store.`,
  )
  expect(more).toEqual([])
})

test.each([
  [
    'a table that nobody changes',
    "const names = new Set(['a', 'b'])\nexport const has = (name) => names.has(name)",
  ],
  [
    'what a function keeps while it runs',
    'export function count() { let n = 0; const all = []; all.push(n++); return all }',
  ],
  ['a type', 'export declare let version: string'],
  [
    'an exception that says why',
    '// share-nothing: compiled once, the same in every process.\nlet compiled: RegExp | undefined',
  ],
])('%s is let pass', async (_what, module) => {
  expect(await lint(module)).toEqual([])
})

test('an exception without a reason is none', async () => {
  expect(await lint('// share-nothing: ok\nlet visits = 0')).toHaveLength(1)
})

test('the pathname of a file URL is named, where it is taken for a path', async () => {
  const [said, ...more] = await lint("export const path = new URL('x', import.meta.url).pathname")
  expect(said).toContain('Use fileURLToPath')
  expect(more).toEqual([])
  expect(await lint('export const route = new URL(request.url).pathname')).toEqual([])
})
