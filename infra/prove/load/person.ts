import { randomInt } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request, type Dispatcher } from 'undici'

export interface Question {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  /** Sent as JSON. */
  json?: unknown
  /** Pauses for this time in the middle of the body, as a client on a bad connection does. */
  pauseMs?: number
  /** How long the whole answer may take. Default: 15 s. */
  patienceMs?: number
}

export interface Answer {
  status: number
  headers: Dispatcher.ResponseData['headers']
  text: string
}

/** A user who has signed in once, and sends the same cookie with each request. */
export interface Person {
  readonly id: string
  readonly email: string
  readonly cookie: string
  /** Rejects when no complete answer came. */
  ask(question: Question): Promise<Answer>
  /** How many `Set-Cookie` headers came. The cookie is never replaced: otherwise a lost session would not be noticed. */
  readonly cookieChanges: number
}

/** How requests reach the deployment. */
export interface Caller {
  url: string
  dispatcher: Dispatcher
}

/** A caller with at most so many connections. Rows in apps use it, because an app need not have an HTTP client. */
export function openCaller(url: string, connections: number): Caller & AsyncDisposable {
  const dispatcher = new Agent({ connections })
  return { url, dispatcher, [Symbol.asyncDispose]: () => dispatcher.destroy() }
}

// The routes that every row needs: sign up, sign in, and the signed-in user.
const SIGN_UP = '/api/accounts/sign-up'
const SIGN_IN = '/api/accounts/sign-in'
export const WHO_AM_I = '/api/accounts/me'

/** Longer than a user waits, and longer than any deadline that a row checks. */
const PATIENCE_MS = 15_000

export function passwordOf(email: string): string {
  return `the password of ${email}`
}

/**
 * A random address for `X-Forwarded-For`, which the deployment trusts from loopback. With one address per user, limits per
 * network count each user separately. @see RFC 2544, appendix C.2.2
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

/** The same user in another browser. */
export function signIn(caller: Caller, email: string): Promise<Person> {
  return enter(sendSignIn, caller, email)
}

async function enter(ask: typeof sendSignUp, caller: Caller, email: string): Promise<Person> {
  const network = newNetwork()
  const { status, headers, text } = await ask(caller, email, network)
  if (status > 201) throw new Error(`${email} was not let in: ${status} ${text}`)
  const { user } = JSON.parse(text) as { user: { id: string } }
  const cookie = cookiesOf(headers)
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

/** Sends a request as a client of this network. Rejects when no complete answer came. */
export async function send(
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

/** The cookies that an answer sets, as the client sends them back. */
export function cookiesOf(headers: Answer['headers']): string {
  return setCookies(headers)
    .map((line) => line.split(';')[0])
    .join('; ')
}

function setCookies(headers: Answer['headers']): string[] {
  return [headers['set-cookie'] ?? []].flat()
}
