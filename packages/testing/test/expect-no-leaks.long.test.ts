import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const root = join(import.meta.dirname, '../../..')

/** Runs one test file with the configuration of this repository. */
function runVitest(body: string): { status: number | null; output: string } {
  const folder = mkdtempSync(join(import.meta.dirname, 'leak-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'file.test.ts'), body)
  const args = ['run', '--globals', '--config', join(root, 'vitest.config.ts'), '--root', folder]
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), ...args],
    // TEST_LONG is unset, because that file is not a long test, although this one is.
    { encoding: 'utf8', env: { ...process.env, TEST_LONG: undefined } },
  )
  return { status, output: stdout + stderr }
}

test.for([
  [
    'a server',
    `import { createServer } from 'node:net'; test('x', () => { createServer().listen(0) })`,
    'TCPServerWrap',
  ],
  [
    'a process',
    `import { spawn } from 'node:child_process'; test('x', () => { spawn('sleep', ['5']) })`,
    'ProcessWrap',
  ],
])('a test file that leaves %s behind fails', ([, body, resource]) => {
  const { status, output } = runVitest(body!)
  expect(output).toContain(`This test file leaves open: ${resource}`)
  expect(status).toBe(1)
})

test('a test file that closes what it opens passes', () => {
  const body = `import { createServer } from 'node:net'
    const server = createServer(); afterAll(() => server.close()); test('x', () => { server.listen(0) })`
  expect(runVitest(body)).toMatchObject({ status: 0 })
})
