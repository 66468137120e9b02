import { strict as assert } from 'node:assert'
import { assertNot2xx, newPerson, signedIn, valuesOf, who, write, type Behaviour } from './play.ts'
import {
  ask,
  openVisitor,
  pause,
  until,
  type Answer,
  type ServerProcess,
  type Stage,
  type Visitor,
} from './stage.ts'

const DEADLINE_MS = 500

/** Behaviours when handlers, values or stores fail. */
export const faults: Behaviour[] = [
  {
    number: 11,
    claim: 'a handler that throws answers 500, and a key that it had set is not stored',
    async play({ a, b }) {
      const visitor = await signedIn(a)
      const answer = await visitor.ask(a, 'POST', '/values-then-throw', { json: [['key', 1]] })
      assert.equal(answer.status, 500)
      assert.deepEqual(await valuesOf(visitor, b), {})
    },
  },
  {
    number: 25,
    claim:
      'a handler that answers without returning it, or throws after it, gives one response and no dead process',
    async play({ a }) {
      const expected = { send: 200, redirect: 302, 'send-then-throw': 200, 'send-twice': 200 }
      for (const [form, status] of Object.entries(expected)) {
        for (const path of ['unreturned', 'unreturned-later']) {
          const visitor = await signedIn(a)
          const answer = await visitor.ask(a, 'POST', `/${path}/${form}`)
          assert.equal(answer.status, status, `${path}/${form} was answered ${answer.status} ${answer.text}`)
          if (status === 200) assert.deepEqual(answer.json, { answer: 'first' }, `${path}/${form}`)
          assert.equal(typeof (await valuesOf(visitor, a))[form], 'number', `${path}/${form} was not stored`)
        }
      }
      await pause(50)
      assert.ok(a.isRunning, a.output())
    },
  },
  {
    number: 24,
    claim:
      'a corrupt stored value gives an anonymous session or a 5xx without internals; the process survives',
    async play({ a, b, store }) {
      for (const damage of [
        '',
        'garbage',
        '{',
        '[1',
        '[]',
        '{}',
        'null',
        '[1,0,{"id":7},""]',
        '[1,5,null,""]\n,"x":',
        '[99,1,{"id":"x"}]',
      ]) {
        const before = new Set((await store.dump()).map(({ key }) => key))
        const visitor = await signedIn(a)
        for (const { key } of await store.dump()) if (!before.has(key)) await store.corrupt(key, damage)
        for (const path of ['/who', '/values']) {
          const answer = await visitor.copy().ask(b, 'GET', path)
          if (answer.status === 200)
            assert.deepEqual(
              Object.values(answer.json as object).flatMap((one) => Object.values(one ?? {})),
              [],
            )
          else assertTellsNothing(answer)
        }
        await write(visitor, b, ['key', 1])
        await visitor.ask(a, 'POST', '/sign-out')
        assert.equal(await who(await signedIn(b, { id: 'after' }), a), 'after')
      }
    },
  },
  {
    number: 22,
    claim:
      'while a store is frozen, dead or absent, requests get 503 at once; the service recovers by itself',
    async play(stage) {
      await playFreeze(stage)
      await playRestart(stage)
      await playAbsent(stage)
      await playShutdown(stage)
    },
  },
  {
    number: 23,
    claim:
      'with a full store, reads and sign-out get 200 and writes 503; with a read-only store, reads get 200',
    async play({ a, b, store }) {
      const user = newPerson()
      const [visitor, leaver] = [await signedIn(a, user), await signedIn(a, user)]
      if (store.fillUp) {
        await using _ = await store.fillUp()
        for (const server of [a, b]) assert.equal(await who(visitor, server), user.id)
        const answer = await write(visitor, a, ['key', 'x'.repeat(1000)])
        assert.equal(answer.status, 503)
        assertTellsNothing(answer)
        assert.equal((await leaver.ask(b, 'POST', '/sign-out')).status, 200)
        assert.equal(await who(visitor, b), store.cannot[23] ? null : user.id)
      }
      if (store.makeReadOnly) {
        await using _ = await store.makeReadOnly()
        for (const server of [a, b]) assert.equal(await who(visitor, server), user.id)
        assertNot2xx(await write(visitor, a, ['key', 1]))
      }
      assert.equal((await write(visitor, b, ['key', 1])).status, 200)
    },
  },
]

async function playFreeze({ a, b, store }: Stage): Promise<void> {
  const user = newPerson()
  const visitor = await signedIn(a, user)
  assert.equal(await who(visitor, b), user.id)
  const memory = await memoryOf(a, b)
  await store.freeze()
  const [answers, publicAnswers] = await Promise.all([
    load(visitor, [a, b], '/who', { forMs: 6000, everyMs: 10 }),
    load(openVisitor(), [a, b], '/plain', { forMs: 6000, everyMs: 50 }),
  ]).finally(() => store.thaw())
  const recoveredMs = await untilSignedIn(visitor, [a, b], user.id, store.recoveryMs.thaw + 10_000)

  // The time of a request without a session shows how busy the machine is.
  const [publicMs, waitedMs] = [times(publicAnswers), times(answers)]
  const [usual, slowest] = [waitedMs[waitedMs.length >> 1]!, waitedMs.at(-1)!]
  const hitchMs = publicMs.at(-1)!
  assert.ok(
    publicAnswers.every(({ status }) => status === 200),
    'a public route failed',
  )
  assert.ok(usual <= publicMs[publicMs.length >> 1]! + 50, `a 503 usually took ${usual} ms`)
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [503])
  assert.ok(slowest <= DEADLINE_MS + 100 + hitchMs, `the slowest 503 took ${slowest} ms`)
  for (const answer of answers) assertTellsNothing(answer)
  assert.ok(
    answers.every(({ headers }) => Number(headers['retry-after']) > 0),
    'no Retry-After',
  )
  // When Postgres is back, it starts a process for each of the ten connections of both servers, and each may be delayed.
  const most = store.recoveryMs.thaw + 10 * hitchMs
  assert.ok(recoveredMs <= most, `it took ${recoveredMs} ms after the thaw, and not ${most}`)
  const grownMb = ((await memoryOf(a, b)) - memory) / 1e6
  assert.ok(grownMb < 60, `memory grew by ${grownMb} MB`)
}

async function playRestart({ a, b, store }: Stage): Promise<void> {
  const user = newPerson()
  const visitor = await signedIn(a, user)
  await store.kill()
  const answers = await Promise.all([a, b].map((server) => visitor.ask(server, 'GET', '/who'))).finally(() =>
    store.restart(),
  )
  for (const answer of answers) {
    assert.equal(answer.status, 503)
    assert.ok(answer.tookMs < DEADLINE_MS + 100)
    assertTellsNothing(answer)
  }
  const recoveredMs = await until(
    'it answers again',
    async () => (await visitor.ask(a, 'GET', '/who')).status === 200,
    15_000,
  )
  assert.ok(recoveredMs <= store.recoveryMs.restart, `it took ${recoveredMs} ms after the restart`)
  if (store.cannot[22]) assert.equal(await who(visitor, a), null)
  else await untilSignedIn(visitor, [a, b], user.id, 5000)
}

async function playAbsent({ a, b, start, store }: Stage): Promise<void> {
  await store.kill()
  await using server = await start({}, { whetherReady: false })
  try {
    await until('it listens', async () => (await ask(`${server.url}/readyz`, 'GET')).status === 503, 15_000)
    assert.equal((await ask(`${server.url}/plain`, 'GET')).status, 200)
    assert.match(server.output(), /session store is not available/)
  } finally {
    await store.restart()
  }
  for (const one of [server, a, b]) {
    await until('it is ready', async () => (await ask(`${one.url}/readyz`, 'GET')).status === 200, 15_000)
  }
  const user = newPerson()
  assert.equal(await who(await signedIn(server, user), a), user.id)
}

async function playShutdown({ start, store }: Stage): Promise<void> {
  await using server = await start()
  const visitor = await signedIn(server)
  await store.freeze()
  try {
    const pending = visitor.ask(server, 'GET', '/who', { headers: { connection: 'close' } })
    pending.catch(() => {})
    // When this is answered, the server has received the other request.
    await ask(`${server.url}/plain`, 'GET')
    const { tookMs, code } = await server.stop()
    assert.equal(code, 0, server.output())
    assert.ok(tookMs < 5000, `it took ${tookMs} ms to end`)
    assert.equal((await pending).status, 503)
  } finally {
    await store.thaw()
  }
}

function times(answers: Answer[]): number[] {
  return answers.map(({ tookMs }) => tookMs).sort((x, y) => x - y)
}

/** Sends requests at a constant rate, even when earlier ones are not answered yet. */
async function load(
  visitor: Visitor,
  servers: ServerProcess[],
  path: string,
  { forMs, everyMs }: { forMs: number; everyMs: number },
): Promise<Answer[]> {
  const answers: Promise<Answer>[] = []
  const started = performance.now()
  for (let i = 0; performance.now() - started < forMs; i += 1) {
    answers.push(visitor.copy().ask(servers[i % servers.length]!, 'GET', path))
    await pause(Math.max(0, started + (i + 1) * everyMs - performance.now()))
  }
  return Promise.all(answers)
}

async function untilSignedIn(
  visitor: Visitor,
  servers: ServerProcess[],
  id: string,
  deadlineMs: number,
): Promise<number> {
  const times = servers.map((server) =>
    until(
      'the person is signed in again',
      async () => {
        const { status, json } = await openVisitor(visitor.cookies).ask(server, 'GET', '/who')
        assert.ok(
          status === 503 || json.user === id,
          `somebody was signed out: ${status} ${JSON.stringify(json)}`,
        )
        return status === 200
      },
      deadlineMs,
    ),
  )
  return Math.max(...(await Promise.all(times)))
}

function assertTellsNothing({ status, text, headers }: Answer): void {
  assert.ok(status >= 500, `it was answered ${status} ${text}`)
  assert.doesNotMatch(
    `${text} ${JSON.stringify(headers)}`,
    /127\.0\.0\.1:|localhost:|ECONN|at .*\.ts|node_modules|secret broke/,
  )
}

async function memoryOf(...servers: ServerProcess[]): Promise<number> {
  const sizes = await Promise.all(
    servers.map(async ({ url }) => (await ask(`${url}/memory`, 'GET')).json.rss as number),
  )
  return Math.max(...sizes)
}
