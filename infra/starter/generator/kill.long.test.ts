import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openClone, type Clone, type Ended } from './open-clone.ts'

vi.setConfig({ testTimeout: 180_000 })

const NEW = ['orders', '--kind', 'http+worker', '--with', 'database,session']

let clone: Clone
beforeAll(async () => {
  clone = await openClone()
}, 120_000)
afterAll(() => clone[Symbol.asyncDispose]())

/** Runs `pnpm new`, which sends itself the signal just before it makes the path by this function of `node:fs`. */
async function makeUntil(change: string, path: string, signal: NodeJS.Signals): Promise<Ended> {
  const hook = join(clone.root, '.dev/kill.mjs')
  const lines = `import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
const { ${change} } = fs
fs.${change} = (from, to, ...rest) => {
  if (to.endsWith('${path}')) process.kill(process.pid, '${signal}')
  return ${change}(from, to, ...rest)
}
syncBuiltinESMExports()
`
  await writeFile(hook, lines)
  return clone.run('infra/generator/new.ts', NEW, ['--import', hook])
}

test('after kill -9 in the middle, the next command says how to go back, and that brings back all of it', async () => {
  const before = (await clone.git('ls-files', '--stage')).output
  expect(await makeUntil('renameSync', 'apps/orders', 'SIGKILL')).toMatchObject({ signal: 'SIGKILL' })
  expect(await clone.status()).toContain(' M Procfile')

  for (const file of ['infra/generator/new.ts', 'infra/check/main.ts', 'infra/dev/main.ts']) {
    const { code, output } = await clone.run(file, file.includes('new') ? ['refunds', '--force'] : [])
    expect([file, code, output]).toEqual([
      file,
      1,
      expect.stringContaining(`pnpm new ${NEW.join(' ')} was killed`),
    ])
    expect(output).toMatch(/^ {2}docs\/process-types\.md$/m)
    expect(output).toContain('git checkout . && git clean -fd')
  }

  await clone.git('checkout', '.')
  await clone.git('clean', '-fd')
  expect(await clone.status()).toBe('')
  await clone.git('add', '--all')
  expect((await clone.git('ls-files', '--stage')).output).toBe(before)
  expect(await clone.run('infra/generator/new.ts', NEW)).toMatchObject({ code: 0 })
  await retire()
})

test('what git leaves of a service that it has removed is not in the way of the next of that name', async () => {
  expect(await clone.run('infra/generator/new.ts', NEW)).toMatchObject({ code: 0 })
  await clone.git('checkout', '.')
  await clone.git('clean', '-fd')
  expect(existsSync(join(clone.root, 'apps/orders/node_modules'))).toBe(true)
  expect(await clone.run('infra/generator/new.ts', NEW)).toMatchObject({ code: 0 })
  await retire()
})

test('Ctrl-C before the changes leaves the tree as it was, and during them waits for the end', async () => {
  // While it plans.
  expect(await makeUntil('symlinkSync', 'apps/orders', 'SIGINT')).toMatchObject({ code: 130 })
  expect(await clone.status()).toBe('')
  expect(existsSync(join(clone.root, '.dev/change'))).toBe(false)
  expect(await makeUntil('renameSync', 'Procfile', 'SIGINT')).toMatchObject({ code: 130 })
  expect(await clone.status()).toContain('apps/orders/')
  await retire()
})

test('a step that fails is undone with those before it', async () => {
  // A folder cannot be replaced by the service's, and is its last step.
  await writeFile(join(clone.root, 'apps/orders'), 'a file\n')
  const before = await clone.status()
  const { code, output } = await clone.run('infra/generator/new.ts', [...NEW, '--force'])
  expect([code, output]).toEqual([1, expect.stringContaining('Nothing was changed')])
  expect(await clone.status()).toBe(before)
  await clone.git('clean', '-fd')
})

async function retire(): Promise<void> {
  expect(await clone.run('infra/generator/retire.ts', ['orders', '--force'])).toMatchObject({ code: 0 })
  expect(await clone.status()).toBe('')
}
