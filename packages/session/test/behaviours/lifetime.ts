import { strict as assert } from 'node:assert'
import { newPerson, signedIn, who, write, type Behaviour } from './play.ts'
import { openVisitor, pause, type Visitor } from './stage.ts'

const IDLE_MS = 2000
const ABSOLUTE_MS = 5000
const limits = { SESSION_IDLE_MS: `${IDLE_MS}`, SESSION_ABSOLUTE_MS: `${ABSOLUTE_MS}` }

/** Behaviours of lifetime, of killed processes, and of the cost of a read. */
export const lifetime: Behaviour[] = [
  {
    number: 7,
    claim: 'a session is anonymous after the idle limit without a request',
    async play({ start, store }) {
      await using server = await start(limits)
      const visitor = await signedIn(server)
      // Half of the limit, so that a busy machine has a second for the two requests.
      await pause((IDLE_MS - 2 * store.tickMs) / 2)
      assert.notEqual(await who(visitor, server), null, 'it ended too early')
      await pause(IDLE_MS + 2 * store.tickMs + 200)
      assert.equal(await who(visitor, server), null)
      assert.deepEqual(await leftOvers(), [])

      async function leftOvers(): Promise<string[]> {
        const dump = await store.dump()
        return dump.filter(({ leftMs }) => leftMs < 0).map(({ key }) => key)
      }
    },
  },
  {
    number: 8,
    claim: 'reads keep a session alive beyond the idle limit, and nothing does beyond the absolute limit',
    async play({ start, store }) {
      await using server = await start(limits)
      const others = new Set((await store.dump()).map(({ key }) => key))
      const visitor = await signedIn(server)
      const started = performance.now()
      const seen: { atMs: number; isAlive: boolean }[] = []
      while (performance.now() - started < ABSOLUTE_MS + 500) {
        // The time of the request: the answer may be late.
        const atMs = performance.now() - started
        const isAlive = (await who(visitor, server)) !== null
        seen.push({ atMs, isAlive })
        const mostMs = ABSOLUTE_MS - atMs + 2 * store.tickMs + 500
        for (const { key, leftMs } of isAlive ? await store.dump() : []) {
          if (others.has(key) || key.includes('sessions-of')) continue
          assert.ok(leftMs <= mostMs, `${key} outlives its absolute limit: ${leftMs} ms`)
        }
        await pause(IDLE_MS / 4)
      }
      const lastAlive = seen.findLast(({ isAlive }) => isAlive)!.atMs
      assert.ok(lastAlive > 1.5 * IDLE_MS, `it ended after ${lastAlive} ms although it was used`)
      assert.ok(lastAlive <= ABSOLUTE_MS, `it was alive after ${lastAlive} ms`)
    },
  },
  {
    number: 15,
    claim: 'a session survives kill -9 of the process that created it, there and on other processes',
    async play({ start, b }) {
      const user = newPerson()
      const first = await start()
      const visitor = await signedIn(first, user)
      await first.kill()
      assert.equal(await who(visitor, b), user.id)
      await using again = await start()
      assert.equal(await who(visitor, again), user.id)
    },
  },
  {
    number: 16,
    claim: 'while a rolling release changes the secrets, and both lists are in use, nobody is signed out',
    async play({ start, secrets }) {
      const [old] = secrets
      const next = 'the next secret with thirty-two characters too'
      const lists = [[old], [next, old], [next]].map((list) => ({ SESSION_SECRETS: list.join(',') }))
      await using stack = new AsyncDisposableStack()
      const processes = [stack.use(await start(lists[0])), stack.use(await start(lists[0]))]
      const user = newPerson()
      const early = await signedIn(processes[0]!, user)
      const visitors: Visitor[] = [early]
      for (const list of lists.slice(1)) {
        for (const replaced of [0, 1]) {
          await processes[replaced]!.stop()
          processes[replaced] = stack.use(await start(list))
          for (const server of [...processes, ...processes]) {
            for (const visitor of visitors) assert.equal(await who(visitor, server), user.id)
          }
          visitors.push(await signedIn(processes[replaced]!, user))
        }
      }
    },
  },
  {
    number: 19,
    claim: 'a read by a signed-in user costs one store command, renews the expiry, and sets no cookie',
    async play({ start, store }) {
      await using counted = await store.counted()
      await using server = await start({ SESSION_STORE_URL: counted.url, SESSION_IDLE_MS: '10000' })
      const before = new Set((await store.dump()).map(({ key }) => key))
      const visitor = await signedIn(server)
      await write(visitor, server, ['key', 'x'.repeat(500)])
      const leftMs = async (): Promise<number> => {
        const mine = (await store.dump()).filter(
          ({ key, value }) => !before.has(key) && value.includes('xxx'),
        )
        assert.equal(mine.length, 1)
        return mine[0]!.leftMs
      }
      await pause(2100)
      const unusedMs = await leftMs()
      assert.ok(unusedMs < 8500, 'time does not pass')
      await counted.countCommands()
      const answer = await visitor.ask(server, 'GET', '/values')
      assert.equal(await counted.countCommands(), 1)
      assert.deepEqual(answer.setCookies, [])
      assert.ok((await leftMs()) >= unusedMs + 1000, 'the expiry was not renewed')
    },
  },
  {
    number: 30,
    claim: 'every key in the store has an expiry',
    async play({ a, b, store }) {
      const user = newPerson()
      for (const server of [a, b]) {
        const visitor = await signedIn(server, user)
        await write(visitor, server, ['key', 1])
        await visitor.ask(server, 'POST', '/increment')
        await visitor.ask(server, 'POST', '/regenerate')
        await write(openVisitor(), server, ['key', 1])
      }
      const dump = await store.dump()
      assert.ok(dump.length > 0)
      for (const { key, leftMs } of dump) assert.ok(leftMs > 0 && leftMs < Infinity, `${key} has no expiry`)
    },
  },
]
