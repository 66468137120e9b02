import { execFileSync } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { expect, test } from 'vitest'
import { Refusal } from '../change.ts'
import { assertCleanTree, rememberOwnChanges } from '../run-command.ts'

test('what is not committed is refused by name, but for what a command of ours has left as it is', async () => {
  await using folder = await openTemporaryFolder('clean tree ü')
  const root = folder.path
  const git = (...args: string[]): Buffer =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: root })
  const write = (file: string, text: string): Promise<void> => writeFile(join(root, file), text)

  git('init', '--quiet')
  await write('.gitignore', '.dev/\n')
  await write('a b.txt', 'committed')
  await write('gone.txt', 'committed')
  git('add', '--all')
  git('commit', '--quiet', '--message', 'all')
  assertCleanTree(root)

  await write('a b.txt', 'changed by us')
  await write('new ü.txt', 'made by us')
  await rm(join(root, 'gone.txt'))
  expect(() => assertCleanTree(root)).toThrow(Refusal)
  rememberOwnChanges(root)
  assertCleanTree(root)

  await write('new ü.txt', 'changed by a person')
  expect(() => assertCleanTree(root)).toThrow(/\n {2}new ü\.txt\nCommit/)
  await write('new ü.txt', 'made by us')
  await write('jar', 'made by a person')
  expect(() => assertCleanTree(root)).toThrow(/\n {2}jar\nCommit/)
})
