import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import { needs } from '@repo/testing/programs'
import { startMemcached } from '@repo/testing/servers/start-memcached'
import { test } from 'vitest'
import { openSessionStore } from '../src/index.ts'

const MINUTE_MS = 60_000

test(
  'without -M a full memcached may drop a list: what was on it lives on unlisted, what comes is listed',
  needs('memcached'),
  async () => {
    await using server = (await startMemcached({ args: ['-m', '4'] }))!
    await using store = await openSessionStore(server.url)
    const person = newKey()
    const [before, after] = [newKey(), newKey()]
    await store.create(before, '[1]', MINUTE_MS, ownedBy(person))

    // Reading a list keeps it from eviction, so the test reads it rarely, and the session often.
    for (let come = 0; come < 20 && (await store.list(person)).sessions.length > 0; come += 1) {
      for (let batch = 0; batch < 300; batch += 1) {
        const keys = Array.from({ length: 100 }, newKey)
        await Promise.all(keys.map((key) => store.create(key, '[1]', MINUTE_MS, ownedBy(key))))
        await store.load(before, MINUTE_MS)
      }
    }
    assert.deepEqual((await store.list(person)).sessions, [])

    await store.create(after, '[2]', MINUTE_MS, ownedBy(person))
    const { sessions } = await store.list(person)
    assert.deepEqual(
      sessions.map(({ key, head }) => [key, head]),
      [[after, '[2]']],
    )
    assert.equal(await store.load(before, MINUTE_MS), '[1]')
    assert.equal(await store.remove(before, person), '[1]')
  },
)

function ownedBy(key: string): { key: string; until: number } {
  return { key, until: Date.now() + MINUTE_MS }
}

function newKey(): string {
  return randomBytes(32).toString('base64url')
}
