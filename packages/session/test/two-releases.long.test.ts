import { readFile } from 'node:fs/promises'
import { needs } from '@repo/testing/programs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readHead, readValues } from '../src/record.ts'
import { createCookieSigner } from '../src/session-cookie.ts'
import { behaviours, type Stage } from './behaviours/index.ts'
import { openStage } from './behaviours/open-stage.ts'
import { programOf, stores } from './behaviours/open-stores.ts'

const NAMES = [
  'Redis',
  // keep: memcached
  'memcached',
  // /keep
  'Postgres',
]

// For each earlier release: its package, frozen as one file that runs, and what it stored.
const RELEASES = [1]
// The behaviours that use two processes and do not disturb the store.
const TOGETHER = [1, 2, 3, 4, 5, 6, 9, 11, 20, 24, 26, 27, 28]

// Two releases run side by side only in production. The cookie names of development may differ.
const PRODUCTION = { PUBLIC_ORIGIN: 'https://example.com' }

const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

describe.for(RELEASES)('release %i', (release) => {
  test('what it stored and signed is read as it meant it', async () => {
    const file = new URL(`releases/release-${release}.json`, import.meta.url)
    const { records, cookies } = JSON.parse(await readFile(file, 'utf8'))
    for (const { record, user, values } of records) {
      expect(readHead(record)?.user).toEqual(user)
      // As text: JSON.parse and toEqual do not agree about a key called __proto__.
      expect(JSON.stringify(readValues(record))).toBe(JSON.stringify(values))
    }
    for (const { name, secrets, cookie, id } of cookies) {
      expect(createCookieSigner(secrets, name).unsign(cookie)).toEqual({
        valid: true,
        renew: false,
        value: id,
      })
    }
  })

  describe.for(NAMES)('beside this release on %s', async (name) => {
    const store = await stores[name]!(resources)
    let mixed: Stage[]
    beforeAll(async () => {
      if (!store) return
      const old = resources.use(await openStage(store, `test/releases/release-${release}.js`, PRODUCTION))
      const present = resources.use(await openStage(store, undefined, PRODUCTION))
      mixed = [
        { ...present, a: old.a, b: present.b },
        { ...present, a: present.a, b: old.b },
      ]
    })

    for (const { number, claim, play } of behaviours.filter(({ number }) => TOGETHER.includes(number))) {
      test(`${number}. ${claim}`, needs(programOf[name]), async () => {
        for (const stage of mixed) await play(stage)
      })
    }
  })
})
