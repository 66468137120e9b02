import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import type { Line } from '../../src/record.ts'
import type { ListedRecord, SessionStore } from '../../src/store.ts'
import { pause, type StoreUnderTest } from './stage.ts'

/** Two clients of one store, as two processes have them. */
export interface StoreSetting {
  one: SessionStore
  two: SessionStore
  underTest: StoreUnderTest
}

/** The contract of every driver beyond its types. A play throws when its claim is false. */
export const storeContract: readonly { claim: string; play(setting: StoreSetting): Promise<void> }[] = [
  {
    claim: 'a record is loaded as it was created, through any handle, and an unknown key is null',
    async play({ one, two }) {
      const key = newKey()
      assert.equal(await one.load(key, MINUTE_MS), null)
      assert.deepEqual(await one.create(key, RECORD, MINUTE_MS), { listed: 0 })
      assert.equal(await two.load(key, MINUTE_MS), RECORD)
    },
  },
  {
    claim: 'a key that is taken is not created again',
    async play({ one, two }) {
      const key = newKey()
      await one.create(key, RECORD, MINUTE_MS)
      assert.equal(await two.create(key, '[1,2,null,""]', MINUTE_MS), 'taken')
      assert.equal(await one.load(key, MINUTE_MS), RECORD)
    },
  },
  {
    claim: 'of 20 that create one key at once, one succeeds',
    async play({ one, two }) {
      const key = newKey()
      const created = await Promise.all(times(20, (i) => (i % 2 ? one : two).create(key, RECORD, MINUTE_MS)))
      assert.equal(created.filter((result) => result !== 'taken').length, 1)
    },
  },
  {
    claim: 'a patch replaces, adds and removes lines and leaves the others byte for byte',
    async play({ one, two }) {
      const key = newKey()
      const others = ',"big":1e400\n,"odd":[ 1.0 , {} ]\n,"text":"100%1 \\ud800"'
      await one.create(key, `${RECORD}\n,"a":1\n${others}\n,"b":2`, MINUTE_MS)
      const lines: Line[] = [
        [',"a":', '"%d\\n"'],
        [',"b":', ''],
        [',"c":', '[]'],
        [',"none":', ''],
      ]
      assert.equal(await two.patch(key, { lines }, MINUTE_MS), 'done')
      assert.equal(await one.load(key, MINUTE_MS), `${RECORD}\n${others}\n,"a":"%d\\n"\n,"c":[]`)
    },
  },
  {
    claim: 'a name that begins, ends or lies inside another one is another name',
    async play({ one }) {
      const key = newKey()
      const near = ['a', 'aa', '"a"', 'a":1', '\n,"a', '.*', '%a', '']
      const lines = near.map((name): Line => [`,${JSON.stringify(name)}:`, JSON.stringify(name)])
      await one.create(key, RECORD, MINUTE_MS)
      for (const line of lines) await one.patch(key, { lines: [line] }, MINUTE_MS)
      await one.patch(key, { lines: [[',"a":', '"changed"']] }, MINUTE_MS)
      const expected = [...lines.filter(([name]) => name !== ',"a":'), [',"a":', '"changed"']]
      assert.equal(
        await one.load(key, MINUTE_MS),
        [RECORD, ...expected.map((line) => line.join(''))].join('\n'),
      )
    },
  },
  {
    claim: 'a patch never creates a record: without one it returns "gone"',
    async play({ one }) {
      const key = newKey()
      assert.equal(await one.patch(key, { lines: [LINE] }, MINUTE_MS), 'gone')
      assert.equal(await one.patch(key, { lines: [LINE], expect: [LINE[0], ''] }, MINUTE_MS), 'gone')
      assert.equal(await one.load(key, MINUTE_MS), null)
    },
  },
  {
    claim: 'a patch that expects another line changes nothing, and returns the present record',
    async play({ one }) {
      const key = newKey()
      await one.create(key, `${RECORD}\n,"a":1`, MINUTE_MS)
      const present = await one.load(key, MINUTE_MS)
      for (const expect of [
        [',"a":', '2'],
        [',"a":', ''],
        [',"a":', '11'],
        [',"b":', '1'],
      ] as Line[]) {
        assert.deepEqual(await one.patch(key, { lines: [LINE], expect }, MINUTE_MS), { conflict: present })
      }
      assert.equal(await one.load(key, MINUTE_MS), present)
      assert.equal(
        await one.patch(key, { lines: [[',"a":', '2']], expect: [',"a":', '1'] }, MINUTE_MS),
        'done',
      )
      assert.equal(await one.patch(key, { lines: [LINE], expect: [',"b":', ''] }, MINUTE_MS), 'done')
    },
  },
  {
    claim: '50 patches at once through two handles are all kept',
    async play({ one, two }) {
      const key = newKey()
      await one.create(key, RECORD, MINUTE_MS)
      const results = await Promise.all(
        times(50, (i) => (i % 2 ? one : two).patch(key, { lines: [[`,"key${i}":`, `${i}`]] }, MINUTE_MS)),
      )
      assert.deepEqual(new Set(results), new Set(['done']))
      assert.equal((await one.load(key, MINUTE_MS))!.split('\n').length, 51)
    },
  },
  {
    claim: 'of 20 that remove one record at once, one gets it in its last state',
    async play({ one, two }) {
      const key = newKey()
      await one.create(key, RECORD, MINUTE_MS)
      await one.patch(key, { lines: [LINE] }, MINUTE_MS)
      const removed = await Promise.all(times(20, (i) => (i % 2 ? one : two).remove(key)))
      assert.deepEqual(
        removed.filter((record) => record !== null),
        [`${RECORD}\n${LINE.join('')}`],
      )
    },
  },
  {
    claim: 'a removed record stays removed under concurrent patches, and contains every patch that succeeded',
    async play({ one, two }) {
      for (let round = 0; round < 5; round += 1) {
        const key = newKey()
        await one.create(key, RECORD, MINUTE_MS)
        const patches = times(20, (i) =>
          (i % 2 ? one : two).patch(key, { lines: [[`,"key${i}":`, '1']] }, MINUTE_MS),
        )
        const [record, results] = await Promise.all([two.remove(key), Promise.all(patches)])
        const done = results.flatMap((result, i) => (result === 'done' ? [`,"key${i}":1`] : []))
        assert.deepEqual(record!.split('\n').slice(1).sort(), done.sort())
        assert.equal(await one.load(key, MINUTE_MS), null)
      }
    },
  },
  {
    claim: 'a record lives as long as its last load or patch said, and is then absent for every operation',
    async play({ one, two, underTest: { tickMs } }) {
      const lifeMs = 1000 + tickMs
      const [loaded, patched, left] = [newKey(), newKey(), newKey()]
      const owner = { key: newKey(), until: Date.now() + MINUTE_MS }
      for (const key of [loaded, patched]) await one.create(key, RECORD, lifeMs)
      await one.create(left, RECORD, lifeMs, owner)
      await one.load(loaded, MINUTE_MS)
      await one.patch(patched, { lines: [LINE] }, MINUTE_MS)
      await pause(lifeMs + tickMs + 100)
      assert.notEqual(await two.load(loaded, lifeMs), null, 'the load did not renew it')
      assert.notEqual(await two.load(patched, lifeMs), null, 'the patch did not renew it')
      assert.equal(await two.patch(left, { lines: [LINE] }, MINUTE_MS), 'gone')
      assert.equal(await two.load(left, MINUTE_MS), null)
      assert.equal(await two.remove(left), null)
      assert.deepEqual(await listAlive(two, owner.key), [])
    },
  },
  {
    claim:
      "the list of a user contains this user's sessions, with the time that each has left, and no others",
    async play({ one, two, underTest: { tickMs } }) {
      const owner = { key: newKey(), until: Date.now() + MINUTE_MS }
      const other = { key: newKey(), until: Date.now() + MINUTE_MS }
      const keys = times(5, newKey)
      await Promise.all(keys.map((key, i) => (i % 2 ? one : two).create(key, RECORD, 20_000, owner)))
      await one.create(newKey(), RECORD, MINUTE_MS, other)
      await two.remove(keys[0]!, owner.key)
      const listed = await listAlive(two, owner.key)
      assert.deepEqual(listed.map(({ key }) => key).sort(), keys.slice(1).sort())
      for (const { head, leftMs } of listed) {
        assert.equal(head, RECORD)
        assert.ok(leftMs > 15_000 && leftMs <= 20_000 + tickMs, `it has ${leftMs} ms left`)
      }
      assert.deepEqual((await one.list(newKey())).sessions, [])
    },
  },
  {
    claim: 'a list returns only the first line of each record, and renews no session',
    async play({ one, two, underTest: { tickMs } }) {
      const [key, owner] = [newKey(), { key: newKey(), until: Date.now() + MINUTE_MS }]
      await one.create(key, `${RECORD}\n${LINE.join('')}`, 20_000, owner)
      const [listed] = (await two.list(owner.key)).sessions
      assert.equal(listed!.head, RECORD)
      assert.ok((await one.list(owner.key)).sessions[0]!.leftMs <= 20_000 + tickMs)
    },
  },
  {
    claim: 'a list of 600 is read and ended page by page, oldest first, and no remaining session is missed',
    async play({ one, two }) {
      const [ownerKey, from] = [newKey(), Date.now() + MINUTE_MS]
      // Not in the order of their age, and many have the same age.
      const names = times(600, (i) => ({ key: newKey(), until: from + Math.floor(((i * 7) % 600) / 40) }))
      for (let i = 0; i < names.length; i += 10) {
        const ten = names.slice(i, i + 10)
        await Promise.all(
          ten.map(({ key, until }) => one.create(key, RECORD, MINUTE_MS, { key: ownerKey, until })),
        )
      }
      const spared = names[300]!.key
      const met: ListedRecord[] = []
      let ended = 0
      for (let next: ListedRecord | undefined; ;) {
        const page = await two.list(ownerKey, next)
        assert.ok(page.sessions.length <= 500, `a page of ${page.sessions.length}`)
        met.push(...page.sessions)
        const doomed = page.sessions.map(({ key }) => key).filter((key) => key !== spared)
        ended += await one.removeAll(doomed, ownerKey)
        next = page.next
        if (!next) break
      }
      assert.deepEqual(met.map(({ key }) => key).sort(), names.map(({ key }) => key).sort())
      assert.ok(
        met.every(({ until }, i) => i === 0 || until >= met[i - 1]!.until),
        'not in the order of their age',
      )
      assert.equal(ended, 599)
      assert.deepEqual(
        (await one.list(ownerKey)).sessions.map(({ key }) => key),
        [spared],
      )
      assert.notEqual(await two.load(spared, MINUTE_MS), null)
      assert.equal(await two.load(names[0]!.key, MINUTE_MS), null)
    },
  },
  {
    claim: 'when two end the same sessions at once, each session is ended once, and none is left',
    async play({ one, two }) {
      const owner = { key: newKey(), until: Date.now() + MINUTE_MS }
      const keys = times(40, newKey)
      for (const key of keys) await one.create(key, RECORD, MINUTE_MS, owner)
      const counts = await Promise.all([
        one.removeAll(keys, owner.key),
        two.removeAll(keys.toReversed(), owner.key),
      ])
      assert.equal(counts[0] + counts[1], 40)
      assert.deepEqual((await one.list(owner.key)).sessions, [])
    },
  },
  {
    claim:
      'a session that is taken off the list while it is created is gone, and every session that exists is listed',
    async play({ one, two }) {
      for (let round = 0; round < 80; round += 1) {
        const [key, owner] = [newKey(), { key: newKey(), until: Date.now() + MINUTE_MS }]
        const creating = one.create(key, RECORD, MINUTE_MS, owner)
        for (let turn = 0; turn < (round >> 1) % 8; turn += 1)
          await new Promise((resolve) => setImmediate(resolve))
        await (round % 2 ? two.removeAll([key], owner.key) : two.remove(key, owner.key))
        const created = await creating
        const isAlive = (await two.load(key, MINUTE_MS)) !== null
        const isListed = (await listAlive(one, owner.key)).length === 1
        assert.equal(isAlive, isListed, `${JSON.stringify(created)}, and it is ${isAlive ? 'alive' : 'dead'}`)
        assert.ok(created !== 'gone' || !isAlive)
      }
    },
  },
  {
    claim: 'a record of 200 kB is kept',
    async play({ one, two }) {
      const key = newKey()
      const record = `${RECORD}\n,"big":${JSON.stringify('🦊'.repeat(50_000))}`
      await one.create(key, record, MINUTE_MS)
      await two.patch(key, { lines: [LINE] }, MINUTE_MS)
      assert.equal(await one.load(key, MINUTE_MS), `${record}\n${LINE.join('')}`)
    },
  },
  {
    claim: 'a reachable store passes its check',
    async play({ one }) {
      await one.check()
    },
  },
]

const MINUTE_MS = 60_000
const RECORD = '[1,1767225600000,{"id":"u1"},"Mozilla/5.0 \\" é"]'
const LINE: Line = [',"added":', '"later"']

async function listAlive(store: SessionStore, ownerKey: string): Promise<ListedRecord[]> {
  return (await store.list(ownerKey)).sessions.filter(({ head }) => head !== null)
}

function newKey(): string {
  return randomBytes(32).toString('base64url')
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}
