import { afterAll, beforeAll, expect, test } from 'vitest'
import { openClone, type Clone } from './open-clone.ts'
import { startDev } from './start-dev.ts'

const NAMES = Array.from({ length: 10 }, (_, n) => `service-${'abcdefghij'[n]}`)

let clone: Clone
beforeAll(async () => {
  clone = await openClone()
}, 120_000)
afterAll(() => clone[Symbol.asyncDispose]())

test(
  'ten services more are all there, each on a port of its own, and all go again',
  { timeout: 400_000 },
  async () => {
    for (const [n, name] of NAMES.entries()) {
      const args = [name, '--kind', 'http', '--with', n % 2 ? 'database' : '', '--force']
      expect(await clone.run('infra/generator/new.ts', args)).toMatchObject({ code: 0 })
    }
    {
      await using dev = await startDev(clone)
      for (const name of NAMES) expect([name, await dev.statusOf(`/api/${name}`)]).toEqual([name, 200])
    }
    for (const name of NAMES) {
      expect(await clone.run('infra/generator/retire.ts', [name, '--force'])).toMatchObject({ code: 0 })
    }
    expect(await clone.status()).toBe('')
  },
)
