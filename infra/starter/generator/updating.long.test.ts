import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { listExamples, openClone, type Clone } from './open-clone.ts'

// Follows docs/updating.md: the starter releases its next tag, and a clone that has changed since the last tag merges it.

let starter: Clone
let shop: Clone
beforeAll(async () => {
  starter = await openClone()
  shop = await openClone()
}, 240_000)
afterAll(async () => {
  await starter[Symbol.asyncDispose]()
  await shop[Symbol.asyncDispose]()
})

async function git(cwd: string, ...args: string[]): Promise<string> {
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@localhost']
  // A merge with conflicts exits with 1, which is expected here.
  return promisify(execFile)('git', [...identity, ...args], { cwd }).then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  )
}

test('a clone with services of its own takes over the next tag', { timeout: 240_000 }, async () => {
  await git(starter.root, 'tag', 'v1')
  await git(shop.root, 'fetch', '--quiet', '--tags', starter.root)
  await git(shop.root, 'reset', '--quiet', '--hard', 'v1')
  const [example] = await listExamples(shop)
  await shop.run('infra/generator/retire.ts', ['--examples'])
  await shop.commit()
  await shop.run('infra/generator/new.ts', ['orders', '--with', 'database,session'])
  await shop.commit()

  // Meanwhile the starter adds an app, and changes a package and the example that the shop has retired.
  await starter.run('infra/generator/new.ts', ['newsletter', '--with', 'database'])
  const mechanism = join(starter.root, 'packages/config/README.md')
  await writeFile(mechanism, `${await readFile(mechanism, 'utf8')}\nOne sentence more.\n`)
  const readme = join(starter.root, `apps/${example}/README.md`)
  await writeFile(readme, `${await readFile(readme, 'utf8')}\nOne sentence more.\n`)
  await writeFile(join(starter.root, `apps/${example}/more.md`), 'One part more.\n')
  await starter.commit()
  await git(starter.root, 'tag', 'v2')

  await git(shop.root, 'fetch', '--quiet', '--tags', starter.root)
  await git(shop.root, '-c', 'merge.directoryRenames=false', 'merge', '--quiet', 'v2')
  await git(shop.root, 'rm', '-rf', '--quiet', '--ignore-unmatch', `apps/${example}`)
  const conflicts = (await git(shop.root, 'diff', '--name-only', '--diff-filter=U'))
    .split('\n')
    .filter(Boolean)
  for (const path of conflicts) {
    expect(path).toMatch(
      /^(pnpm-lock\.yaml|Procfile|\.env\.example|docs\/process-types\.md|infra\/deploy\/(compose\/compose\.yaml|kubernetes\/base\/.+))$/,
    )
    await git(shop.root, 'checkout', '--theirs', path)
  }
  expect(await shop.pnpm('install', '--offline', '--trust-lockfile', '--no-frozen-lockfile')).toMatchObject({
    code: 0,
  })
  expect(await shop.run('infra/deploy/main.ts')).toMatchObject({ code: 0 })
  await shop.commit()

  expect(await git(shop.root, 'ls-files', `apps/${example}`)).toBe('')
  expect(await readFile(join(shop.root, 'packages/config/README.md'), 'utf8')).toContain('One sentence more.')
  const procfile = await readFile(join(shop.root, 'Procfile'), 'utf8')
  expect(procfile).toMatch(/^newsletter: /m)
  expect(procfile).toMatch(/^orders: /m)
  expect(await shop.pnpm('install', '--offline', '--trust-lockfile', '--frozen-lockfile')).toMatchObject({
    code: 0,
  })
  expect(await shop.run('infra/check/rules.ts')).toMatchObject({ code: 0, output: '' })
  expect(await shop.run('infra/generator/retire.ts', ['orders'])).toMatchObject({ code: 0 })
  expect(await shop.run('infra/generator/retire.ts', ['newsletter', '--force'])).toMatchObject({
    code: 0,
    output: expect.stringMatching(/stays there until you drop it:\nDROP SCHEMA IF EXISTS "newsletter"/),
  })
})

test(
  'nothing inside says where it came from, or what its folder is called',
  { timeout: 60_000 },
  async () => {
    const here = resolve(import.meta.dirname, '../../..').replaceAll('.', '\\.')
    const words = ['another-folder', 'github.com/[a-z]+/nonstick', here].join('|')
    const found = await git(
      shop.root,
      'grep',
      '-nIE',
      words,
      '--',
      ':!infra/starter/generator',
      ':!pnpm-lock.yaml',
    )
    expect(found).toBe('')
  },
)
