import { strict as assert } from 'node:assert'
import {
  assertDead,
  assertNot2xx,
  hold,
  newPerson,
  signedIn,
  valuesOf,
  who,
  write,
  type Behaviour,
} from './play.ts'
import { ask, openVisitor, type Stage } from './stage.ts'

/** Behaviours when requests of one session overlap. */
export const overlap: Behaviour[] = [
  {
    number: 1,
    claim: 'a user who signs in on one process is the same user on another',
    async play({ a, b }) {
      const user = newPerson()
      const visitor = await signedIn(a, user)
      assert.equal(await who(visitor, b), user.id)
    },
  },
  {
    number: 2,
    claim: '10 and 50 concurrent writers of distinct keys on two processes all keep what was answered 200',
    async play({ a, b }) {
      for (const writers of [10, 50]) {
        const visitor = await signedIn(a)
        const answers = await Promise.all(
          Array.from({ length: writers }, (_, i) => write(visitor.copy(), i % 2 ? a : b, [`key${i}`, i])),
        )
        assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
        const kept = Object.keys(await valuesOf(visitor, a)).length
        assert.equal(kept, writers, `${kept} of ${writers} keys were kept`)
      }
    },
  },
  {
    number: 3,
    claim: 'a slow write does not bring back a session that signed out meanwhile, and is not answered 2xx',
    async play(stage) {
      const visitor = await signedIn(stage.a)
      const slow = await hold(visitor, stage.a, 'POST', '/values', [['key', 1]])
      await visitor.copy().ask(stage.b, 'POST', '/sign-out')
      assertNot2xx(await slow.release())
      await assertDead(stage, visitor)
    },
  },
  {
    number: 4,
    claim: 'a slow read does not bring back a session that signed out meanwhile',
    async play(stage) {
      const visitor = await signedIn(stage.a)
      const slow = await hold(visitor, stage.a, 'GET', '/values')
      await visitor.copy().ask(stage.b, 'POST', '/sign-out')
      await slow.release()
      await assertDead(stage, visitor)
    },
  },
  {
    number: 5,
    claim: 'a slow write under the old id does not keep that id alive when another process regenerates it',
    async play(stage) {
      const visitor = await signedIn(stage.a)
      const slow = await hold(visitor, stage.a, 'POST', '/values', [['key', 1]])
      const renewed = visitor.copy()
      await renewed.ask(stage.b, 'POST', '/regenerate')
      assert.notDeepEqual(renewed.cookies, visitor.cookies)
      assertNot2xx(await slow.release())
      await assertDead(stage, visitor)
      assert.notEqual(await who(renewed, stage.a), null, 'the new id does not work')
    },
  },
  {
    number: 20,
    claim: 'a slow read that overlaps a write does not undo it',
    async play({ a, b }) {
      const visitor = await signedIn(a)
      const slow = await hold(visitor, a, 'GET', '/values')
      assert.equal((await write(visitor, b, ['key', 'kept'])).status, 200)
      await slow.release()
      assert.equal((await valuesOf(visitor, a))['key'], 'kept')
    },
  },
  {
    number: 26,
    claim:
      'a session purged while a request is in flight stays dead after save, a late save, and reload and write',
    async play(stage) {
      for (const path of ['/save-now', '/save-late', '/reload-and-write']) {
        const before = new Set((await stage.store.dump()).map(({ key }) => key))
        const visitor = await signedIn(stage.a)
        const slow = await hold(visitor, stage.a, 'POST', path)
        const created = (await stage.store.dump()).filter(({ key }) => !before.has(key))
        for (const { key } of created) await stage.store.purge(key)
        const answer = await slow.release()
        if (path === '/save-late') await untilSavedLate(stage)
        else assertNot2xx(answer)
        await assertDead(stage, visitor)
      }
    },
  },
  {
    number: 28,
    claim: '20 concurrent increments of one key on two processes give 20',
    async play({ a, b }) {
      const visitor = await signedIn(a)
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => visitor.copy().ask(i % 2 ? a : b, 'POST', '/increment')),
      )
      const counts = answers.map(({ json }) => json.count).sort((x, y) => x - y)
      assert.deepEqual(
        counts,
        Array.from({ length: 20 }, (_, i) => i + 1),
      )
      assert.equal((await valuesOf(visitor, a))['count'], 20)
    },
  },
  {
    number: 6,
    claim: 'a sign-in that forgets to regenerate still leaves the old cookie anonymous, and keeps the data',
    async play({ a, b }) {
      const visitor = openVisitor()
      await write(visitor, a, ['cart', ['book']])
      const planted = visitor.copy()
      const user = newPerson()
      assert.equal((await visitor.ask(b, 'POST', '/sign-in-carelessly', { json: user })).status, 200)
      assert.equal(await who(planted.copy(), a), null, 'whoever planted the old cookie is signed in')
      assert.equal(await who(visitor, a), user.id)
      assert.deepEqual((await valuesOf(visitor, b))['cart'], ['book'])
    },
  },
]

async function untilSavedLate({ a }: Stage): Promise<void> {
  assert.equal((await ask(`${a.url}/gate/saved-late`, 'GET')).status, 200)
  await ask(`${a.url}/gate/saved-late`, 'POST')
}
