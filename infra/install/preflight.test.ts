import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { expect, test } from 'vitest'

const OTHER_LIBC = '#!/lib/ld-of-another-libc.so.1\n'

/** Runs the preflight in a clone that needs Node `oldest`, after `install` has put a Node there, or none. */
async function preflight(oldest: number, install: (bin: string) => Promise<void>) {
  await using folder = await openTemporaryFolder('preflight of ü')
  const bin = join(folder.path, 'node_modules/.bin/node')
  await mkdir(join(bin, '..'), { recursive: true })
  await writeFile(join(folder.path, 'package.json'), JSON.stringify({ engines: { node: `>=${oldest}` } }))
  await install(bin)
  const { promise, resolve } = Promise.withResolvers<{ code: number; said: string; isLeft: boolean }>()
  const args = [join(import.meta.dirname, 'preflight.mjs'), folder.path]
  const child = execFile(process.execPath, args, (_error, stdout, stderr) => {
    resolve({ code: child.exitCode ?? -1, said: stdout + stderr, isLeft: existsSync(bin) })
  })
  return await promise
}

test('the installed Node is used, even if the machine’s own is older', async () => {
  const outcome = await preflight(9999, (bin) => symlink(process.execPath, bin))
  expect(outcome).toEqual({ code: 0, said: '', isLeft: true })
})

test.each([
  ['none came', async () => {}],
  ['the one that came does not start', (bin: string) => writeFile(bin, OTHER_LIBC, { mode: 0o755 })],
])('the machine’s own serves where %s, when it is new enough', async (_, install) => {
  expect(await preflight(20, install)).toEqual({ code: 0, said: '', isLeft: false })
  const { code, said } = await preflight(9999, install)
  expect(code).toBe(1)
  expect(said).toMatch(/^Node 9999 or newer is needed\. This machine has v\d+\.\d+\.\d+, .*\n$/)
})

test('the sentence says why the installed Node does not start', async () => {
  const { said } = await preflight(9999, (bin) =>
    writeFile(bin, '#!/bin/sh\necho "node: libatomic.so.1 is missing" >&2\nexit 127\n', { mode: 0o755 }),
  )
  expect(said).toContain('that starts here (node: libatomic.so.1 is missing): install')
})
