import { afterAll, beforeAll, expect, test } from 'vitest'
import { listExamples, must, openClone, type Clone } from './open-clone.ts'
import { startDev, type Dev } from './start-dev.ts'

// Removes the examples in a new clone of the starter, with `pnpm dev` running. by-hand.long.test.ts checks what is left, and
// adopt.long.test.ts runs its tests.

let clone: Clone
let dev: Dev
let examples: string[]
beforeAll(async () => {
  clone = await openClone()
  // A tag as the starter sets it: not a release of a team, so no production database has the example's tables.
  await clone.git('tag', 'v1')
  examples = await listExamples(clone)
  dev = await startDev(clone)
}, 300_000)
afterAll(async () => {
  await dev[Symbol.asyncDispose]()
  await clone[Symbol.asyncDispose]()
}, 60_000)

test('the examples go, and the others stay', { timeout: 120_000 }, async () => {
  expect(examples).not.toEqual([])
  for (const name of examples) expect(await dev.statusOf(`/api/${name}`)).toBe(401)
  expect(await clone.pnpm('retire', '--examples')).toMatchObject({
    code: 0,
    output: expect.stringContaining('Its tables are gone from the database of pnpm dev.'),
  })
  for (const name of examples) {
    await dev.eventually(`${name} is gone`, async () => (await dev.statusOf(`/api/${name}`)) === 404)
  }
  expect(await dev.statusOf('/api/accounts/me')).toBe(401)
  expect(await dev.statusOf('/')).toBe(200)
})

test('nothing that is left names them', async () => {
  await clone.commit()
  for (const name of examples) {
    // Singular and plural.
    const word = name.replace(/s$/, '')
    expect(await clone.git('grep', '-il', word)).toMatchObject({ output: '' })
    expect(await clone.git('ls-files', `*${word}*`)).toMatchObject({ output: '' })
  }
})

test('the next service comes and goes as ever', { timeout: 120_000 }, async () => {
  const [name] = examples
  const args = [name!, '--kind', 'http+worker', '--with', 'session']
  await must(clone.pnpm('new', ...args))
  await dev.eventually('it answers', async () => (await dev.statusOf(`/api/${name}`)) === 401)
  await must(clone.pnpm('retire', name!, '--force'))
  expect(await clone.status()).toBe('')
})
