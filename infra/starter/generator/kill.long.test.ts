import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { settleChange } from '../../generator/settle-change.ts'
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

async function countChanges(file: string, args: string[]): Promise<{ changes: number; decision: number }> {
  const { output } = await runUntil(0, '', file, args)
  const [, changes, decision] = /changes of the disk: (\d+), decided by (\d+)/.exec(output) ?? []
  return { changes: Number(changes), decision: Number(decision) }
}

/** Every second change, from the first or the second on, so that a few runs cover all of them. */
function someOf(changes: number): number[] {
  const first = 1 + (Date.now() % 2)
  return Array.from({ length: changes }, (_, n) => n + 1).filter((at) => at % 2 === first % 2)
}

/** The output of `git status`; timestamps of migrations are replaced. */
async function look(): Promise<string> {
  return (await clone.status()).replaceAll(/\d{14}/g, 'now')
}

test(
  'pnpm new, killed before any of its changes of the disk, leaves all or nothing to the next',
  { timeout: 900_000 },
  async () => {
    const { changes } = await countChanges('infra/generator/new.ts', NEW)
    const complete = await look()
    expect(complete).toContain('apps/orders/')
    expect(changes).toBeGreaterThan(30)
    await retire()

    const seen = { untouched: 0, complete: 0 }
    for (const at of someOf(changes)) {
      expect(await runUntil(at, 'SIGKILL', 'infra/generator/new.ts', NEW)).toMatchObject({
        signal: 'SIGKILL',
      })
      // Our other commands begin with it: it completes or removes the change.
      await settleChange(clone.root)
      const state = await look()
      expect(['', complete]).toContain(state)
      seen[state === '' ? 'untouched' : 'complete'] += 1
      if (state !== '') await retire()
    }
    expect(seen.untouched).toBeGreaterThan(2)
    expect(seen.complete).toBeGreaterThan(1)
  },
)

test('pnpm retire, killed likewise, does so too', { timeout: 900_000 }, async () => {
  await clone.run('infra/generator/new.ts', NEW)
  const complete = await look()
  expect(complete).toContain('apps/orders/')
  const { changes } = await countChanges('infra/generator/retire.ts', ['orders', '--force'])
  expect(await look()).toBe('')

  const seen = { untouched: 0, gone: 0 }
  for (const at of someOf(changes)) {
    if ((await look()) === '') await clone.run('infra/generator/new.ts', NEW)
    const ended = await runUntil(at, 'SIGKILL', 'infra/generator/retire.ts', ['orders', '--force'])
    expect(ended).toMatchObject({ signal: 'SIGKILL' })
    await settleChange(clone.root)
    const state = await look()
    expect(['', complete]).toContain(state)
    seen[state === '' ? 'gone' : 'untouched'] += 1
  }
  expect(seen.untouched).toBeGreaterThan(1)
  expect(seen.gone).toBeGreaterThan(1)
  if ((await look()) !== '') await retire()
})

test('Ctrl-C leaves the tree as it was, or the change complete, at once', { timeout: 300_000 }, async () => {
  const { changes, decision } = await countChanges('infra/generator/new.ts', NEW)
  const complete = await look()
  expect(changes).toBeGreaterThan(30)
  await retire()
  expect(decision).toBeGreaterThan(0)
  const moments = new Set([decision])
  for (let at = 1; at <= changes; at += 4) moments.add(at)
  for (const at of moments) {
    const { code } = await runUntil(at, 'SIGINT', 'infra/generator/new.ts', NEW)
    expect([0, 130]).toContain(code)
    const state = await look()
    expect(['', complete]).toContain(state)
    if (state !== '') await retire()
  }
})

async function retire(): Promise<void> {
  expect(await clone.run('infra/generator/retire.ts', ['orders', '--force'])).toMatchObject({ code: 0 })
  expect(await look()).toBe('')
}
