import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../../..')
const resolve = createRequire(join(ROOT, 'package.json')).resolve
const OXLINT = join(dirname(resolve('oxlint/package.json')), 'bin/oxlint')

let folder: string

/** A folder with the lint configuration of this repository. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nonstick-lint-'))
  const config = JSON.parse(await readFile(join(ROOT, '.oxlintrc.json'), 'utf8')) as { jsPlugins: string[] }
  const jsPlugins = config.jsPlugins.map((name) => resolve(name))
  await writeFile(join(folder, '.oxlintrc.json'), JSON.stringify({ ...config, jsPlugins }))
})

afterAll(() => rm(folder, { recursive: true }))

/** The rules that report a module at this path. */
async function lint(path: string, module: string): Promise<string[]> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), module)
  const run = promisify(execFile)(process.execPath, [OXLINT, '--format=json', path], { cwd: folder })
  const { stdout } = await run.catch((error: { stdout: string }) => error)
  return (JSON.parse(stdout) as { diagnostics: { code: string }[] }).diagnostics.map(({ code }) => code)
}

test.each([
  ['pattern: "^a*$"', ['nonstick(visible-patterns)']],
  ['pattern: `^${name}*$`', ['nonstick(visible-patterns)']],
  ['pattern: /^a*$/.source', []],
  ['pattern: /^a*a*$/.source', ['regexp(no-super-linear-backtracking)']],
  ['names: text.split(/\\s*,/)', ['regexp(no-super-linear-move)']],
  ['names: text.split(",").map((name) => name.trim())', []],
])(
  'in what runs, a regular expression is seen, and is none that takes the square: %s',
  async (property, rules) => {
    const module = `export const read = (text, name) => ({ name, text, ${property} })`
    for (const path of ['apps/web/src/a.ts', 'apps/web/page/a.ts', 'packages/service/src/a.ts']) {
      expect(await lint(path, module)).toEqual(rules)
    }
  },
)
