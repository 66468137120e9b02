import { strict as assert } from 'node:assert'
import { newPerson, signedIn, valuesOf, who, write, type Behaviour } from './play.ts'
import { ask, openVisitor } from './stage.ts'

/** Behaviours of cookies, ids and secrets. */
export const identity: Behaviour[] = [
  {
    number: 9,
    claim: 'five sign-ins of one user are five entries on the list, and all can be ended at once',
    async play({ a, b }) {
      const user = newPerson()
      const visitors = await Promise.all(
        ['one', 'two', 'three', 'four', 'five'].map((name, i) =>
          signedIn(i % 2 ? a : b, user, { headers: { 'user-agent': name } }),
        ),
      )
      const { sessions } = (await visitors[0]!.ask(b, 'GET', '/sessions')).json
      assert.deepEqual(sessions.map((one: { userAgent: string }) => one.userAgent).sort(), [
        'five',
        'four',
        'one',
        'three',
        'two',
      ])
      assert.equal(sessions.filter(({ current }: { current: boolean }) => current).length, 1)
      assert.equal((await visitors[1]!.ask(a, 'DELETE', '/sessions')).status, 200)
      for (const visitor of visitors) assert.equal(await who(visitor, b), null)
    },
  },
  {
    number: 10,
    claim: 'sign-out expires the cookie',
    async play({ a }) {
      const visitor = await signedIn(a)
      assert.equal(visitor.cookies.size, 1)
      assert.equal((await visitor.ask(a, 'POST', '/sign-out')).status, 200)
      assert.equal(visitor.cookies.size, 0)
    },
  },
  {
    number: 12,
    claim: 'a request with a garbage cookie is anonymous and gets 200',
    async play({ a }) {
      const [name, real] = [...(await signedIn(a)).cookies][0]!
      const id = real.slice(0, real.lastIndexOf('.'))
      const garbage = [
        '',
        '.',
        '..',
        'x',
        '%',
        '%E0%A4%A',
        '%00',
        id,
        `${id}.`,
        `${id}.AAAA`,
        'j:{}',
        '__proto__',
        real.slice(1),
      ]
      for (const value of [
        ...garbage,
        `${real}x`,
        `${id}.${'A'.repeat(43)}`,
        'é'.repeat(20),
        'a'.repeat(4000),
      ]) {
        const answer = await ask(`${a.url}/who`, 'GET', {
          headers: { cookie: `${name}=${Buffer.from(value).toString('latin1')}` },
        })
        assert.equal(answer.status, 200, `${value} was answered ${answer.status}`)
        assert.equal(answer.json.user, null, `${value} is somebody`)
      }
    },
  },
  {
    number: 13,
    claim: 'a cookie that was signed for another name opens no session',
    async play({ a }) {
      const visitor = await signedIn(a)
      const [name, real] = [...visitor.cookies][0]!
      const id = real.slice(0, real.lastIndexOf('.'))
      const { cookie } = (await visitor.ask(a, 'POST', '/sign-other', { json: { value: id } })).json
      assert.equal(await who(openVisitor(new Map([[name, encodeURIComponent(cookie)]])), a), null)
    },
  },
  {
    number: 14,
    claim: 'a key with the name of a method or of the prototype harms neither the session nor the process',
    async play({ a, b }) {
      const user = newPerson()
      const visitor = await signedIn(a, user)
      const names = [
        'save',
        'cookie',
        '__proto__',
        'sessionId',
        'isModified',
        'regenerate',
        'toJSON',
        'constructor',
        'then',
        '',
      ]
      for (const name of names) {
        await write(visitor, a, [name, 'x']).catch(() => {})
        assert.equal(await who(visitor, b), user.id, `after ${name}`)
        assert.equal(await who(visitor, a), user.id, `after ${name}`)
      }
      assert.ok(a.isRunning)
    },
  },
  {
    number: 17,
    claim:
      'a forged cookie of any size costs no store command, and above the header limit of Node it gets 431',
    async play({ start, store }) {
      await using counted = await store.counted()
      await using server = await start({ SESSION_STORE_URL: counted.url })
      const [name, real] = [...(await signedIn(server)).cookies][0]!
      const id = real.slice(0, real.lastIndexOf('.'))
      await counted.countCommands()
      for (const value of ['x', `${id}.${'A'.repeat(43)}`, `${id}.${'A'.repeat(4000)}`, 'a'.repeat(15_000)]) {
        const answer = await ask(`${server.url}/who`, 'GET', { headers: { cookie: `${name}=${value}` } })
        assert.equal(answer.status, 200)
      }
      assert.equal(await counted.countCommands(), 0)
      const answer = await ask(`${server.url}/who`, 'GET', {
        headers: { cookie: `${name}=${'a'.repeat(17_000)}` },
      })
      assert.equal(answer.status, 431)
    },
  },
  {
    number: 18,
    claim: '1,000 requests without a cookie leave no key in the store',
    async play({ a, b, store }) {
      const before = new Set((await store.dump()).map(({ key }) => key))
      for (let i = 0; i < 1000; i += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, j) => ask(`${(j % 2 ? a : b).url}/who`, 'GET')))
      }
      assert.deepEqual(
        (await store.dump()).filter(({ key }) => !before.has(key)),
        [],
      )
    },
  },
  {
    number: 21,
    claim: 'a dump of every key and value contains no usable session id',
    async play(stage) {
      const visitor = await signedIn(stage.a)
      const [name, real] = [...visitor.cookies][0]!
      const dump = (await stage.store.dump()).map(({ key, value }) => `${key} ${value}`).join('\n')
      const [random = ''] = decodeURIComponent(real).split('.')
      assert.ok(random.length >= 32, 'an id has 192 bits')
      assert.ok(!dump.includes(random), 'the id stands in the store')
      const signature = real.slice(real.lastIndexOf('.'))
      const found = dump.match(/[\w-]{20,}/g) ?? []
      for (const token of new Set(found.slice(-200))) {
        for (const value of [token, token + signature]) {
          assert.equal(
            await who(openVisitor(new Map([[name, value]])), stage.b),
            null,
            `${token} opens a session`,
          )
        }
      }
    },
  },
  {
    number: 27,
    claim: 'values of every kind are identical after a patch',
    async play({ a, b }) {
      const visitor = await signedIn(a)
      const expected: Record<string, unknown> = {}
      for (const [key, value] of [...oddValues, ...randomEntries(60)]) {
        expected[key] = value
        assert.equal(
          (await write(visitor, a, [key, value])).status,
          200,
          `${JSON.stringify(key)} was refused`,
        )
        assert.equal((await write(visitor, b, ['another', value])).status, 200)
      }
      const { another: _, ...values } = await valuesOf(visitor, b)
      assert.deepEqual(values, expected)
    },
  },
]

const oddValues: [string, unknown][] = [
  ['empty list', []],
  ['empty object', {}],
  ['nested', { a: [[], {}, [{}]], b: null }],
  ['float', 0.1 + 0.2],
  ['tiny', 5e-324],
  ['huge', 1.7976931348623157e308],
  ['beyond 2^53', 2 ** 60 + 2 ** 9],
  ['minus', -1e21],
  ['zeros', '\0\0'],
  ['lone \ud800 surrogate', '\udc00\ud800'],
  ['line\nbreaks\r\n', '\n,"other":1\n'],
  ['separators\u2028', '\u2028\u2029'],
  ['astral 🦊', '🦊\u{10ffff}'],
  ['quotes "', '"\\"\\\\'],
  ['pattern %d.*', '%1 %% ([%w]+)'],
  ['long', 'x'.repeat(20_000)],
  ['false', false],
  ['null', null],
]

/** Reproducible, so that a failure can be repeated. */
function randomEntries(count: number): [string, unknown][] {
  let seed = 20_261_122
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % below
  }
  const text = (): string =>
    Array.from({ length: random(12) }, () => String.fromCharCode(random(0x10000))).join('')
  const value = (depth: number): unknown => {
    const kinds = [text, () => random(1 << 24) / 1000, () => random(2) === 1, () => null]
    const nested = [
      () => Array.from({ length: random(4) }, () => value(depth - 1)),
      () => ({ [text()]: value(depth - 1) }),
    ]
    const all = depth > 0 ? [...kinds, ...nested] : kinds
    return all[random(all.length)]!()
  }
  return Array.from({ length: count }, (_, i) => [`${i} ${text()}`, value(3)])
}
