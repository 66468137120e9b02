import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

function runTest(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], { encoding: 'utf8' })
}

test('--help fits on a screen', () => {
  const { status, stdout } = runTest('--help')
  expect(status).toBe(0)
  expect(stdout).toContain('test:long')
  expect(stdout.split('\n').length).toBeLessThan(24)
})

test('a word that names no member fails, and says which members there are', () => {
  const { status, stderr } = runTest('nobody')
  expect(status).toBe(1)
  expect(stderr).toContain('There is no member whose name contains nobody')
  expect(stderr).toContain('packages/session')
})

test('for one file, only the members that have it are tested', () => {
  const { status, stderr } = runTest('session', '--file', 'no-such-thing')
  expect(status).toBe(1)
  expect(stderr).toContain('whose name contains session with a test file whose path contains no-such-thing')
})

test('an option that does not exist fails, and shows the help', () => {
  const { status, stderr } = runTest('--forever')
  expect(status).toBe(1)
  expect(stderr).toMatch(/Unknown option '--forever'[^]*pnpm test \[word/)
})
