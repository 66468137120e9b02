import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { request, type Dispatcher } from 'undici'

export interface Question {
  method: 'GET' | 'POST'
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

/** The one sentence of the product that prove knows by heart: how a person comes to be, and who they are then. */
const SIGN_UP = '/api/accounts/sign-up'
export const WHO_AM_I = '/api/accounts/me'

/** A browser gives up sooner; a process that has promised a deadline has answered long before. */
const PATIENCE_MS = 15_000

export function passwordOf(email: string): string {
  return `the password of ${email}`
}

export async function signUp(caller: Caller, email: string): Promise<Person> {
  const password = passwordOf(email)
  const { status, headers, text } = await send(caller, {
    method: 'POST',
    path: SIGN_UP,
    json: { email, password },
  })
  if (status !== 201) throw new Error(`${email} could not sign up: ${status} ${text}`)
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
      const answer = await send(caller, question, cookie)
      cookieChanges += setCookies(answer.headers).length
      return answer
    },
  }
}

async function send(
  { url, dispatcher }: Caller,
  { method, path, json, pauseMs, patienceMs = PATIENCE_MS }: Question,
  cookie?: string,
): Promise<Answer> {
  const text = json === undefined ? undefined : JSON.stringify(json)
  const { statusCode, headers, body } = await request(url + path, {
    dispatcher,
    method,
    headers: {
      ...(cookie && { cookie }),
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
