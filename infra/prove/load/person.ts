import { randomInt } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { request, type Dispatcher } from 'undici'

export interface Question {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  /** Sent as JSON. */
  json?: unknown
  /** Pauses so long in the middle of the body, as a phone on a train does. */
  pauseMs?: number
  /** How long the whole answer may take, when it is a long one. */
  patienceMs?: number
}

export interface Answer {
  status: number
  headers: Dispatcher.ResponseData['headers']
  text: string
}

/** Somebody who has signed in once, holds the cookie, and must stay who they are. */
export interface Person {
  readonly id: string
  readonly email: string
  readonly cookie: string
  /** Rejects when no whole answer came. */
  ask(question: Question): Promise<Answer>
  /** How often somebody wanted to replace the cookie. It is never replaced: whoever loses it would notice too late. */
  readonly cookieChanges: number
}

/** How the deployment is asked. */
export interface Caller {
  url: string
  dispatcher: Dispatcher
}

/** What prove knows by heart of the product: how a person comes to be, comes back, and who they are then. */
const SIGN_UP = '/api/accounts/sign-up'
const SIGN_IN = '/api/accounts/sign-in'
export const WHO_AM_I = '/api/accounts/me'

/** A browser gives up sooner; a process that has promised a deadline has answered long before. */
const PATIENCE_MS = 15_000

export function passwordOf(email: string): string {
  return `the password of ${email}`
}

/**
 * An address of its own for somebody, which the deployment believes since we are on loopback: what it counts per network
 * is not counted for everybody together. @see RFC 2544, appendix C.2.2
 */
export function newNetwork(): string {
  return `198.${randomInt(18, 20)}.${randomInt(256)}.${randomInt(256)}`
}

export function sendSignUp(caller: Caller, email: string, network: string): Promise<Answer> {
  return send(caller, { method: 'POST', path: SIGN_UP, json: credentialsOf(email) }, network)
}

export function sendSignIn(caller: Caller, email: string, network: string): Promise<Answer> {
  return send(caller, { method: 'POST', path: SIGN_IN, json: credentialsOf(email) }, network)
}

function credentialsOf(email: string): { email: string; password: string } {
  return { email, password: passwordOf(email) }
}

export function signUp(caller: Caller, email: string): Promise<Person> {
  return enter(sendSignUp, caller, email)
}

/** The same person in another browser. */
export function signIn(caller: Caller, email: string): Promise<Person> {
  return enter(sendSignIn, caller, email)
}

async function enter(ask: typeof sendSignUp, caller: Caller, email: string): Promise<Person> {
  const network = newNetwork()
  const { status, headers, text } = await ask(caller, email, network)
  if (status > 201) throw new Error(`${email} was not let in: ${status} ${text}`)
  const { user } = JSON.parse(text) as { user: { id: string } }
  const cookie = setCookies(headers)
    .map((line) => line.split(';')[0])
    .join('; ')
  let cookieChanges = 0

  return {
    id: user.id,
    email,
    cookie,
    get cookieChanges() {
      return cookieChanges
    },
    async ask(question) {
      const answer = await send(caller, question, network, cookie)
      cookieChanges += setCookies(answer.headers).length
      return answer
    },
  }
}

async function send(
  { url, dispatcher }: Caller,
  { method, path, json, pauseMs, patienceMs = PATIENCE_MS }: Question,
  network: string,
  cookie?: string,
): Promise<Answer> {
  const text = json === undefined ? undefined : JSON.stringify(json)
  const { statusCode, headers, body } = await request(url + path, {
    dispatcher,
    method,
    headers: {
      ...(cookie && { cookie }),
      'x-forwarded-for': network,
      ...(text !== undefined && {
        'content-type': 'application/json',
        'content-length': `${Buffer.byteLength(text)}`,
      }),
      'sec-fetch-site': 'same-origin',
    },
    body: text === undefined ? null : pauseMs ? Readable.from(inTwo(text, pauseMs)) : text,
    signal: AbortSignal.timeout(patienceMs),
  })
  return { status: statusCode, headers, text: await body.text() }
}

async function* inTwo(text: string, pauseMs: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  const half = bytes.length >> 1
  yield bytes.subarray(0, half)
  await sleep(pauseMs)
  yield bytes.subarray(half)
}

function setCookies(headers: Answer['headers']): string[] {
  return [headers['set-cookie'] ?? []].flat()
}
