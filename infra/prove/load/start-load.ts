import { isDeepStrictEqual } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import type { Deployment } from '../deployment/open-deployment.ts'
import type { Random } from '../random.ts'
import { eachOf } from './each-of.ts'
import { findWork, type Work, type Write } from './find-work.ts'
import { signUp, WHO_AM_I, type Answer, type Person, type Question } from './person.ts'

export interface LoadOptions {
  /** Requests per second. */
  rate: number
  people: number
  random: Random
}

/**
 * - `ok`: the expected answer.
 * - `failed`: no answer, a 5xx or a 429.
 * - `wrong`: any other answer: another user's data, an acknowledged record that is missing, an unexpected status.
 * - `signed out`: a 401.
 */
type Outcome = 'ok' | 'failed' | 'wrong' | 'signed out'

/** The result of one request. Times are those of `performance.now()`. */
export interface Result {
  /** The time for which it was scheduled: a delay before sending counts as latency. */
  intendedAt: number
  endedAt: number
  method: string
  path: string
  outcome: Outcome
  /** The status and the code of the error, such as `503 DATABASE_UNAVAILABLE`, or the reason why there is no answer. */
  answer: string
  retryAfter?: string
  /** How long the client itself paused in the body. */
  pausedMs: number
}

/** A write that was answered 201. */
interface Acknowledged {
  person: Person
  location: string
  content: Record<string, unknown>
}

/** Requests of many users, sent on schedule, whatever happened to earlier ones (an open loop). */
export interface Load {
  readonly results: readonly Result[]
  readonly people: readonly Person[]
  readonly work: Work
  /** Stops sending, waits for requests in flight, and resolves to the results. May be called again. */
  stop(): Promise<readonly Result[]>
  /** After the attack: stops, then reads every acknowledged write, and checks that every user is still signed in. */
  check(): Promise<Aftermath>
}

interface Aftermath {
  acknowledged: number
  lost: number
  people: number
  signedOut: number
  cookieChanges: number
}

/** The most requests in flight. It bounds our own memory; a request beyond it is not sent, and counts as failed. */
const MOST_IN_FLIGHT = 2000

/** After an attack, all checks together may retry for this long. */
const PATIENCE_MS = 5000

let loads = 0

export async function startLoad(
  deployment: Deployment,
  { rate, people, random }: LoadOptions,
): Promise<Load> {
  const name = `${process.pid}-${++loads}`
  const agent = new Agent({ connections: 256, keepAliveTimeout: 30_000 })
  const caller = { url: deployment.url, dispatcher: agent }
  const crowd: Person[] = []
  for (let n = 1; n <= people; n++) crowd.push(await signUp(caller, `person-${n}-${name}@prove.example`))
  const work = await findWork(deployment, crowd[0]!)

  const results: Result[] = []
  const acknowledged: Acknowledged[] = []
  const inFlight = new Set<Promise<void>>()
  let writes = 0
  const stopping = new AbortController()
  const sending = sendAll()

  async function sendAll(): Promise<void> {
    const begunAt = performance.now()
    for (let n = 0; !stopping.signal.aborted; n++) {
      const intendedAt = begunAt + (n * 1000) / rate
      await sleep(Math.max(0, intendedAt - performance.now()))
      const flight = chooseAndSend(intendedAt).finally(() => inFlight.delete(flight))
      inFlight.add(flight)
    }
  }

  async function chooseAndSend(intendedAt: number): Promise<void> {
    const person = random.pick(crowd)!
    const chance = random.next()
    const write = chance < 0.3 ? random.pick(work.writes) : undefined
    const record = chance > 0.7 ? random.pick(acknowledged) : undefined
    if (write) return postRecord(person, write, intendedAt)
    if (record) return readRecord(record, intendedAt)
    const path = chance < 0.5 ? WHO_AM_I : random.pick(work.reads)!
    await attempt(person, { method: 'GET', path }, intendedAt, (answer) =>
      isWhatIsAsked(person, path, answer),
    )
  }

  async function postRecord(person: Person, { path, body, kept }: Write, intendedAt: number): Promise<void> {
    const json = body(`${name}-${++writes}`)
    const question: Question = { method: 'POST', path, json }
    // Some writes take long, so that there is always one in flight that cannot be retried.
    if (random.next() < 0.25) question.pauseMs = 200 + 600 * random.next()
    await attempt(person, question, intendedAt, ({ status, headers, text }) => {
      if (status !== 201) return false
      const content = JSON.parse(text) as Record<string, unknown>
      const keptOnly = Object.fromEntries(kept.map((key) => [key, content[key]]))
      acknowledged.push({ person, location: String(headers.location), content: keptOnly })
      return true
    })
  }

  async function readRecord(record: Acknowledged, intendedAt: number): Promise<void> {
    const question: Question = { method: 'GET', path: record.location }
    await attempt(record.person, question, intendedAt, (answer) => isThere(record, answer))
  }

  async function attempt(
    person: Person,
    question: Question,
    intendedAt: number,
    isRight: (answer: Answer) => boolean,
  ): Promise<void> {
    const { method, path, pauseMs: pausedMs = 0 } = question
    const told = { intendedAt, method, path, pausedMs }
    const conclude = (outcome: Outcome, answer: string, more: Partial<Result> = {}): void =>
      void results.push({ ...told, endedAt: performance.now(), outcome, answer, ...more })
    if (inFlight.size >= MOST_IN_FLIGHT) return conclude('failed', 'not sent: too many wait already')
    try {
      const answer = await person.ask(question)
      const { 'retry-after': retryAfter } = answer.headers
      conclude(judge(answer, isRight), nameOf(answer), typeof retryAfter === 'string' ? { retryAfter } : {})
    } catch (error) {
      const { code, name } = error as { code?: string; name: string }
      conclude('failed', code ?? name)
    }
  }

  async function stop(): Promise<readonly Result[]> {
    stopping.abort()
    await sending
    await Promise.all(inFlight)
    return results
  }

  async function check(): Promise<Aftermath> {
    await stop()
    let lost = 0
    let signedOut = 0
    const patientUntil = performance.now() + PATIENCE_MS
    await eachOf(acknowledged, 8, async (record) => {
      const answer = await askPatiently(record.person, { method: 'GET', path: record.location }, patientUntil)
      if (!isThere(record, answer)) lost++
    })
    await eachOf(crowd, 4, async (person) => {
      const answer = await askPatiently(person, { method: 'GET', path: WHO_AM_I }, patientUntil)
      if (!isWhatIsAsked(person, WHO_AM_I, answer)) signedOut++
    })
    const cookieChanges = crowd.reduce((sum, person) => sum + person.cookieChanges, 0)
    await agent.destroy()
    return { acknowledged: acknowledged.length, lost, people: crowd.length, signedOut, cookieChanges }
  }

  return { results, people: crowd, work, stop, check }
}

function judge(answer: Answer, isRight: (answer: Answer) => boolean): Outcome {
  if (answer.status === 401) return 'signed out'
  if (answer.status >= 500 || answer.status === 429) return 'failed'
  return isRight(answer) ? 'ok' : 'wrong'
}

function nameOf({ status, text }: Answer): string {
  const code = status >= 400 ? /"code":"(\w+)"/.exec(text)?.[1] : undefined
  return code ? `${status} ${code}` : `${status}`
}

function isWhatIsAsked(person: Person, path: string, { status, text }: Answer): boolean {
  if (status !== 200) return false
  return path !== WHO_AM_I || (JSON.parse(text) as { user: { id: string } }).user.id === person.id
}

function isThere({ content }: Acknowledged, { status, text }: Answer): boolean {
  if (status !== 200) return false
  const found = JSON.parse(text) as Record<string, unknown>
  return Object.entries(content).every(([key, value]) => isDeepStrictEqual(found[key], value))
}

/** Retries until an answer is below 500, or until `giveUpAt`. The last answer counts; without one the status is 0. */
async function askPatiently(person: Person, question: Question, giveUpAt: number): Promise<Answer> {
  for (;;) {
    const answer = await person.ask(question).catch((): undefined => undefined)
    if (answer && answer.status < 500) return answer
    if (performance.now() > giveUpAt) return answer ?? { status: 0, headers: {}, text: '' }
    await sleep(100)
  }
}
