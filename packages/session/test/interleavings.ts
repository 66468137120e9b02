import { strict as assert } from 'node:assert'
import { hash, randomBytes } from 'node:crypto'
import { openVisitor, ask, type Answer, type Visitor } from './behaviours/stage.ts'
import type { ServerProcess, StoreUnderTest } from './behaviours/index.ts'

/** One step of an interleaving. Browsers, processes and persons are numbers, modulo how many there are. */
export type Step =
  | { do: 'begin'; what: 'read' | 'write' | 'regenerate'; browser: number; process: number }
  | { do: 'begin'; what: 'sign-in'; browser: number; process: number; person: number }
  | { do: 'finish'; which: number }
  | { do: 'increment' | 'sign-out' | 'expire'; browser: number; process: number }
  | { do: 'volley'; with: 'nothing' | 'sign-out' | 'sign-in again' | 'increments'; browser: number }
  | { do: 'kill'; process: number }

/** The model of one session, from the answers so far. */
interface Session {
  cookies: Map<string, string>
  isAlive: boolean
  person: string | null
  values: Record<string, unknown>
}

interface Browser {
  visitor: Visitor
  /** The session of its cookie. */
  session: Session | undefined
}

/** A request that has loaded its session and waits before its answer. */
interface Held {
  step: Step & { do: 'begin' }
  gate: string
  browser: Browser
  visitor: Visitor
  answer: Promise<Answer>
  /** The session that it has loaded, and its state then (`seen`). */
  session: Session | undefined
  seen: { person: string | null; values: Record<string, unknown> }
  write: [string, number]
}

export interface World {
  processes: (ServerProcess & AsyncDisposable)[]
  restart(n: number): Promise<void>
  store: StoreUnderTest
}

const BROWSERS = 3
let counter = 0

/**
 * Runs steps on real processes, compares the answers with a model, and throws at the first difference. Requests overlap
 * because each waits, after its work and before its answer, until its `finish`.
 */
export async function playInterleaving(world: World, steps: readonly Step[]): Promise<void> {
  const people = [0, 1].map(() => `person-${randomBytes(6).toString('hex')}`)
  const browsers = Array.from({ length: BROWSERS }, (): Browser => ({
    visitor: openVisitor(),
    session: undefined,
  }))
  const sessions: Session[] = []
  const held: Held[] = []

  function newSession(
    person: string | null,
    values: Record<string, unknown>,
    cookies: Map<string, string>,
  ): Session {
    const session = { cookies: new Map(cookies), isAlive: true, person, values: { ...values } }
    sessions.push(session)
    return session
  }

  async function begin(step: Step & { do: 'begin' }): Promise<void> {
    const browser = pick(browsers, step.browser)
    const server = pick(world.processes, step.process)
    const session = browser.session?.isAlive ? browser.session : undefined
    const visitor = browser.visitor.copy()
    const gate = randomBytes(6).toString('hex')
    const write: [string, number] = [`key${counter % 4}`, (counter += 1)]
    const words = {
      read: ['GET', '/values', undefined],
      write: ['POST', '/values', [write]],
      regenerate: ['POST', '/regenerate', undefined],
      'sign-in': ['POST', '/sign-in', { id: pick(people, 'person' in step ? step.person : 0) }],
    } as const
    const [method, path, json] = words[step.what]
    const answer = visitor.ask(server, method, `${path}?gate=${gate}`, json ? { json } : {})
    answer.catch(() => {})
    expectStatus(await ask(`${server.url}/gate/${gate}`, 'GET'), 200)
    const seen = { person: session?.person ?? null, values: { ...session?.values } }
    held.push({ step, gate, browser, visitor, answer, session, seen, write })
  }

  async function finish(which: number): Promise<void> {
    if (held.length === 0) return
    const [request] = held.splice(which % held.length, 1)
    const { step, gate, browser, visitor, session, seen, write } = request!
    await ask(`${pick(world.processes, step.process).url}/gate/${gate}`, 'POST')
    const answer = await request!.answer
    const isStillThere = session?.isAlive === true

    if (step.what === 'read') {
      expectStatus(answer, 200)
      assert.deepEqual(answer.json.values, seen.values, 'a read saw something else than was there')
    } else if (step.what === 'write' && session) {
      expectStatus(answer, isStillThere ? 200 : 401)
      if (isStillThere) session.values[write[0]] = write[1]
    } else if (step.what === 'write') {
      expectStatus(answer, 200)
      browser.session = newSession(null, { [write[0]]: write[1] }, visitor.cookies)
    } else if (step.what === 'sign-in') {
      expectStatus(answer, 200)
      const person = pick(people, step.person)
      const isSame = seen.person === null || seen.person === person
      browser.session = newSession(person, isSame && isStillThere ? session.values : {}, visitor.cookies)
      if (session) session.isAlive = false
    } else if (session) {
      expectStatus(answer, isStillThere ? 200 : 401)
      if (isStillThere) {
        session.isAlive = false
        const kept = Object.entries(session.values).filter(([key]) => key in seen.values)
        browser.session = newSession(session.person, Object.fromEntries(kept), visitor.cookies)
      }
    } else expectStatus(answer, 200)

    if (answer.setCookies.length > 0) browser.visitor = visitor
  }

  async function increment(browser: Browser, server: ServerProcess): Promise<void> {
    const answer = await browser.visitor.ask(server, 'POST', '/increment')
    expectStatus(answer, 200)
    if (!browser.session?.isAlive) browser.session = newSession(null, {}, browser.visitor.cookies)
    const { values } = browser.session
    values['count'] = Number(values['count'] ?? 0) + 1
    assert.equal(answer.json.count, values['count'], 'an increment was lost')
  }

  async function expire({ session }: Browser): Promise<void> {
    if (!session?.isAlive) return
    const [cookie = ''] = session.cookies.values()
    await world.store.purge(
      world.store.keyOf(hash('sha256', cookie.split('.').slice(0, 2).join('.'), 'base64url')),
    )
    session.isAlive = false
  }

  /** Requests at the same moment. The store decides the order, and its contents afterwards must agree with the answers. */
  async function volley(browser: Browser, other: (Step & { do: 'volley' })['with']): Promise<void> {
    const { session } = browser
    if (!session?.isAlive) return
    const writes = [0, 1, 2, 3].map((i): [string, number] => [`volley${i}`, (counter += 1)])
    const writers = writes.map(() => browser.visitor.copy())
    const answers = writes.map((write, i) =>
      writers[i]!.ask(pick(world.processes, i), 'POST', '/values', { json: [write] }),
    )
    const server = pick(world.processes, counter)
    const mover = browser.visitor.copy()
    if (other === 'sign-out') await signOut(browser, server)
    if (other === 'sign-in again' && session.person) {
      expectStatus(await mover.ask(server, 'POST', '/sign-in', { json: { id: session.person } }), 200)
    }
    if (other === 'increments') {
      const counts = await Promise.all(
        writes.map(
          async (_, i) =>
            (await browser.visitor.copy().ask(pick(world.processes, i), 'POST', '/increment')).json.count,
        ),
      )
      const before = Number(session.values['count'] ?? 0)
      assert.deepEqual(
        counts.sort((a, b) => a - b),
        [1, 2, 3, 4].map((n) => before + n),
      )
      session.values['count'] = before + 4
    }
    for (const [i, { status, setCookies }] of (await Promise.all(answers)).entries()) {
      const mayBeLate = other === 'sign-out' || other === 'sign-in again'
      assert.ok(status === 200 || (mayBeLate && status === 401), `write ${i} was answered ${status}`)
      const [key, value] = writes[i]!
      // A request that came after the end of the session was anonymous and got a new session.
      if (setCookies.length > 0) newSession(null, { [key]: value }, writers[i]!.cookies)
      else if (status === 200) session.values[key] = value
    }
    if (other === 'sign-in again' && session.person) {
      session.isAlive = false
      browser.visitor = mover
      browser.session = newSession(session.person, session.values, mover.cookies)
    }
  }

  async function kill(n: number): Promise<void> {
    const index = n % world.processes.length
    for (let i = held.length - 1; i >= 0; i -= 1) {
      if (held[i]!.step.process % world.processes.length === index) held.splice(i, 1)
    }
    await world.restart(index)
  }

  for (const step of steps) {
    const browser = 'browser' in step ? pick(browsers, step.browser) : browsers[0]!
    const server = pick(world.processes, 'process' in step ? step.process : 0)
    if (step.do === 'begin') await begin(step)
    else if (step.do === 'finish') await finish(step.which)
    else if (step.do === 'increment') await increment(browser, server)
    else if (step.do === 'sign-out') await signOut(browser, server)
    else if (step.do === 'expire') await expire(browser)
    else if (step.do === 'volley') await volley(browser, step.with)
    else await kill(step.process)
  }
  while (held.length > 0) await finish(0)

  for (const [i, { cookies, isAlive, person, values }] of sessions.entries()) {
    const visitor = openVisitor(new Map(cookies))
    const server = pick(world.processes, i)
    assert.equal(
      (await visitor.ask(server, 'GET', '/who')).json.user,
      isAlive ? person : null,
      `session ${i}: who`,
    )
    assert.deepEqual(
      (await visitor.ask(server, 'GET', '/values')).json.values,
      isAlive ? values : {},
      `session ${i}`,
    )
  }
}

async function signOut(browser: Browser, server: ServerProcess): Promise<void> {
  expectStatus(await browser.visitor.ask(server, 'POST', '/sign-out'), 200)
  assert.equal(browser.visitor.cookies.size, 0)
  if (browser.session) browser.session.isAlive = false
  browser.session = undefined
}

function pick<T>(from: readonly T[], n: number): T {
  return from[n % from.length]!
}

function expectStatus(answer: Answer, status: number): void {
  assert.equal(answer.status, status, `it was answered ${answer.status} ${answer.text} instead of ${status}`)
}
