import { strict as assert } from 'node:assert'
import { randomBytes } from 'node:crypto'
import {
  openVisitor,
  ask,
  type Answer,
  type AskOptions,
  type ServerProcess,
  type Stage,
  type Visitor,
} from './stage.ts'

/** One of the thirty behaviours: a claim, and a test of it that throws when the claim is false. */
export interface Behaviour {
  number: number
  claim: string
  play(stage: Stage): Promise<void>
}

export function newPerson(): { id: string } {
  return { id: `person-${randomBytes(6).toString('hex')}` }
}

/** A browser that has just signed in. */
export async function signedIn(
  server: ServerProcess,
  user = newPerson(),
  options: AskOptions = {},
): Promise<Visitor> {
  const visitor = openVisitor()
  const answer = await visitor.ask(server, 'POST', '/sign-in', { json: user, ...options })
  assert.equal(answer.status, 200, `sign-in was answered ${answer.status}: ${answer.text}`)
  return visitor
}

export async function who(visitor: Visitor, server: ServerProcess): Promise<string | null> {
  const answer = await visitor.ask(server, 'GET', '/who')
  assert.equal(answer.status, 200, `who was answered ${answer.status}: ${answer.text}`)
  return answer.json.user
}

export async function valuesOf(visitor: Visitor, server: ServerProcess): Promise<Record<string, unknown>> {
  return (await visitor.ask(server, 'GET', '/values')).json.values
}

export async function write(
  visitor: Visitor,
  server: ServerProcess,
  ...entries: [string, unknown][]
): Promise<Answer> {
  return visitor.ask(server, 'POST', '/values', { json: entries })
}

/** Starts a request. Resolves when it has done its work and waits before its answer. */
export async function hold(
  visitor: Visitor,
  server: ServerProcess,
  method: string,
  path: string,
  json?: unknown,
): Promise<{ release(): Promise<Answer> }> {
  const gate = randomBytes(6).toString('hex')
  const answer = visitor
    .copy()
    .ask(server, method, `${path}?gate=${gate}`, json === undefined ? {} : { json })
  answer.catch(() => {})
  assert.equal((await ask(`${server.url}/gate/${gate}`, 'GET')).status, 200, `${path} did not get as far`)
  return {
    async release() {
      await ask(`${server.url}/gate/${gate}`, 'POST')
      return answer
    },
  }
}

export function assertNot2xx(answer: Answer): void {
  assert.ok(answer.status >= 400, `it was answered ${answer.status} ${answer.text}`)
}

/** With these cookies no process knows a user or data. */
export async function assertDead({ a, b }: Stage, cookies: Visitor): Promise<void> {
  for (const server of [a, b]) {
    const visitor = cookies.copy()
    assert.equal(await who(visitor, server), null, 'the id is alive')
    assert.deepEqual(await valuesOf(cookies.copy(), server), {}, 'the id still holds data')
  }
}
