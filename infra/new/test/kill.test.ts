import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openClone, type Clone, type Ended } from './open-clone.ts'

const KILL_AT = join(import.meta.dirname, 'kill-at.ts')
const NEW = ['orders', '--kind', 'http+worker', '--with', 'database,session,queue']

let clone: Clone
beforeAll(async () => {
  clone = await openClone()
}, 120_000)
afterAll(() => clone[Symbol.asyncDispose]())

function runUntil(at: number, signal: string, file: string, args: string[]): Promise<Ended> {
  const env = { KILL_AT: `${at}`, KILL_WITH: signal }
  return clone.run(file, args, ['--import', KILL_AT], env)
}

async function countChanges(file: string, args: string[]): Promise<number> {
  const { output } = await runUntil(0, '', file, args)
  return Number(/changes of the disk: (\d+)/.exec(output)?.[1])
}

/** The names of what git sees, a migration without its time. */
async function look(): Promise<string> {
  return (await clone.status()).replaceAll(/\d{14}/g, 'now')
}

test(
  'killed before any of its changes of the disk, either command leaves all or nothing to the next',
  { timeout: 600_000 },
  async () => {
    const changes = await countChanges('infra/new/main.ts', NEW)
    const complete = await look()
    expect(complete).toContain('apps/orders/')
    expect(changes).toBeGreaterThan(30)
    expect(await countChanges('infra/retire/main.ts', ['orders', '--force'])).toBeGreaterThan(10)
    expect(await clone.status()).toBe('')

    const seen = { untouched: 0, complete: 0 }
    for (let at = 1; at <= changes; at += 1) {
      // Most of the first ones are files of the app that is being prepared, one like the other.
      if (!process.env.TEST_LONG && at < changes - 25 && at % 10 !== 1) continue
      expect(await runUntil(at, 'SIGKILL', 'infra/new/main.ts', NEW)).toMatchObject({ signal: 'SIGKILL' })
      await settle()
      const state = await look()
      expect(['', complete]).toContain(state)
      seen[state === '' ? 'untouched' : 'complete'] += 1
      if (state === '') continue

      // From here on there is something to take away, and that is killed at the same place.
      const { signal } = await runUntil(at, 'SIGKILL', 'infra/retire/main.ts', ['orders', '--force'])
      await settle()
      expect(['', complete]).toContain(await look())
      if (signal !== 'SIGKILL') expect(await look()).toBe('')
      if ((await look()) !== '') await clone.run('infra/retire/main.ts', ['orders', '--force'])
      expect(await look()).toBe('')
    }
    expect(seen.untouched).toBeGreaterThan(5)
    expect(seen.complete).toBeGreaterThan(3)
  },
)

test('Ctrl-C leaves the tree as it was, or the change complete, at once', { timeout: 300_000 }, async () => {
  const changes = await countChanges('infra/new/main.ts', NEW)
  const complete = await look()
  await clone.run('infra/retire/main.ts', ['orders', '--force'])
  for (let at = 1; at <= changes; at += process.env.TEST_LONG ? 4 : 15) {
    const { code } = await runUntil(at, 'SIGINT', 'infra/new/main.ts', NEW)
    expect([0, 130]).toContain(code)
    const state = await look()
    expect(['', complete]).toContain(state)
    if (state !== '') await clone.run('infra/retire/main.ts', ['orders', '--force'])
  }
})

/** Any command of the house does this first. */
async function settle(): Promise<void> {
  await clone.run('infra/check/main.ts', ['--help'])
}
