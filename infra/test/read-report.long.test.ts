import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { root } from './members.ts'
import { countSkipped, readReport } from './read-report.ts'

/** Runs the real vitest on these test files. Returns the path of its report. */
function runVitest(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'nonstick-report-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const report = join(folder, 'test-report.json')
  const runner = join(root, 'node_modules/vitest/vitest.mjs')
  const reporting = ['--reporter=json', `--outputFile=${report}`]
  spawnSync(process.execPath, [runner, 'run', '--globals', '--root', folder, ...reporting])
  return report
}

test('passed, failed and skipped tests are counted, and skipped ones named', async () => {
  const report = runVitest({
    'a.test.ts': `test('good', () => {}); test('bad', () => { throw new Error() })`,
    'b.test.ts': `describe('later', () => { test.skip('one', () => {}); test.todo('two') }); test('good', () => {})`,
  })
  expect(await readReport('x', report, 0)).toEqual({
    folder: 'x',
    passed: 2,
    failed: 1,
    skipped: ['later one', 'later two'],
    lacking: {},
    flaky: [],
    isCached: false,
  })
})

test('tests that lack a program are counted by it and not named, and all that are skipped are counted', async () => {
  const lacks = `{ skip: true, meta: { lacks: 'haproxy' } }`
  const report = runVitest({
    'a.test.ts': `describe('lists', ${lacks}, () => { test('one', () => {}); test('two', () => {}) })`,
    'b.test.ts': `test('three', ${lacks}, () => {}); test.skip('four', () => {}); test('good', () => {})`,
  })
  const result = await readReport('x', report, 0)
  expect(result).toMatchObject({ passed: 1, skipped: ['four'], lacking: { haproxy: 3 } })
  expect(countSkipped(result!)).toBe(4)
})

test('a file that cannot be loaded and a hook that throws have failed, though no test has', async () => {
  const report = runVitest({
    'broken.test.ts': `import './nowhere.ts'; test('never seen', () => {})`,
    'hook.test.ts': `afterAll(() => { throw new Error('left open') }); test('good', () => {})`,
  })
  expect(await readReport('x', report, 0)).toMatchObject({ passed: 1, failed: 2 })
})

test('a test that passed at its second try is named', async () => {
  const report = runVitest({
    'a.test.ts': `let tries = 0; test('shaky', { retry: 1 }, () => expect(++tries).toBe(2)); test('good', () => {})`,
  })
  const flaky = ['shaky: AssertionError: expected 1 to be 2 // Object.is equality']
  expect(await readReport('x', report, 0)).toMatchObject({ passed: 2, failed: 0, flaky })
})

test('a runner that found nothing to run has failed', async () => {
  expect(await readReport('x', runVitest({}), 0)).toMatchObject({ passed: 0, failed: 1 })
})

test('an old report is recognised, and a missing or half-written one is no report', async () => {
  const report = runVitest({ 'a.test.ts': `test('good', () => {})` })
  expect(await readReport('x', report, Date.now())).toMatchObject({ passed: 1, isCached: true })
  writeFileSync(report, '{"testResults": [')
  expect(await readReport('x', report, 0)).toBeUndefined()
  expect(await readReport('x', `${report}.nowhere`, 0)).toBeUndefined()
})
