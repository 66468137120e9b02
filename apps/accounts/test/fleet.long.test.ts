import { fleet, type Browser, type Fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

// Successive requests reach successive processes: each process does half of a test.

let accounts: Fleet
beforeAll(async () => {
  accounts = await fleet(new URL('..', import.meta.url), { env: { TRUST_PROXY: 'loopback' } })
})
afterAll(() => accounts[Symbol.asyncDispose]())

const password = 'correct horse'
let people = 0
const newEmail = () => `person${(people += 1)}@example.com`

async function send(browser: Browser, method: string, path: string, json?: unknown, from = '192.0.2.1') {
  const headers = { 'x-forwarded-for': from }
  const request = json === undefined ? { method, headers } : { method, headers, json }
  const answer = await browser.request(`/api/accounts/${path}`, request)
  const text = await answer.text()
  return {
    status: answer.status,
    headers: answer.headers,
    process: answer.headers.get('x-process'),
    body: text === '' ? undefined : JSON.parse(text),
  }
}

async function newPerson(email = newEmail()) {
  const browser = accounts.browser()
  const { status, body } = await send(browser, 'POST', 'sign-up', { email, password })
  expect(status).toBe(201)
  return { browser, email, id: body.user.id as string }
}

async function anotherDevice(email: string, secret = password): Promise<Browser> {
  const browser = accounts.browser()
  expect((await send(browser, 'POST', 'sign-in', { email, password: secret })).status).toBe(200)
  return browser
}

test('who signs up on one process is known to the other, until they sign out', async () => {
  const { browser, email, id } = await newPerson()
  const seen = [await send(browser, 'GET', 'me'), await send(browser, 'GET', 'me')]
  const user = { id, email, emailVerified: false }
  expect(seen.map(({ body }) => body)).toEqual([{ user }, { user }])
  expect(new Set(seen.map(({ process }) => process))).toEqual(new Set(['accounts.1', 'accounts.2']))

  expect(await send(browser, 'POST', 'sign-out')).toMatchObject({ status: 204, body: undefined })
  // The device cookie stays, so this browser stays known: a stranger who guesses does not lock its owner out.
  expect([...browser.cookies.keys()]).toEqual(['device-80'])
  for (let n = 0; n < 2; n += 1) {
    expect(await send(browser, 'GET', 'me')).toMatchObject({ status: 401, body: { code: 'SIGNED_OUT' } })
  }
  expect(await send(browser, 'POST', 'sign-out')).toMatchObject({ status: 204 })
})

test('a cookie that was copied before the sign-out opens nothing after it', async () => {
  const { browser } = await newPerson()
  const thief = accounts.browser()
  for (const [name, value] of browser.cookies) thief.cookies.set(name, value)
  expect((await send(thief, 'GET', 'me')).status).toBe(200)
  await send(browser, 'POST', 'sign-out')
  expect((await send(thief, 'GET', 'me')).status).toBe(401)
  expect((await send(thief, 'GET', 'me')).status).toBe(401)
})

test('of many sign-ups with one email at the same moment, one makes the account', async () => {
  const email = newEmail()
  const spellings = Array.from({ length: 8 }, (_, n) => (n % 2 ? email : email.toUpperCase()))
  const answers = await Promise.all(
    spellings.map((spelling) => send(accounts.browser(), 'POST', 'sign-up', { email: spelling, password })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409, 409, 409])
  expect(new Set(answers.map(({ process }) => process)).size).toBe(2)
})

/** Wrong passwords, all at once and to both processes. */
async function guess(email: string, networks: string[]): Promise<{ status: number; retryAfter: number }[]> {
  const guesses = networks.map((network, n) =>
    send(accounts.browser(), 'POST', 'sign-in', { email, password: `wrong ${n}` }, network),
  )
  const answers = await Promise.all(guesses)
  return answers.map(({ status, headers }) => ({ status, retryAfter: Number(headers.get('retry-after')) }))
}
const isTold = ({ status }: { status: number }) => status === 401

test('of a volley from one network ten learn that they are wrong, and nobody but that network is kept out', async () => {
  const { browser, email } = await newPerson()
  const stranger = '198.51.100.7'
  const answers = await guess(email, Array<string>(160).fill(stranger))
  expect(answers.filter(isTold)).toHaveLength(10)
  const refused = answers.filter(({ status }) => status === 429)
  for (const { retryAfter } of refused) expect(retryAfter).toBeGreaterThan(0)
  for (const { retryAfter } of refused) expect(retryAfter).toBeLessThanOrEqual(3600)

  for (let n = 0; n < 2; n += 1) {
    const right = await send(accounts.browser(), 'POST', 'sign-in', { email, password }, stranger)
    expect(right).toMatchObject({ status: 429, body: { code: 'SIGN_IN_LIMITED' } })
    // These are not refused: the owner elsewhere, the owner's session, and the owner's browser in the same network.
    expect((await send(accounts.browser(), 'POST', 'sign-in', { email, password })).status).toBe(200)
    const change = { current: password, next: password }
    expect((await send(browser, 'PUT', 'password', change, stranger)).status).toBe(204)
    expect((await send(browser, 'POST', 'sign-in', { email, password }, stranger)).status).toBe(200)
  }
})

test('guesses from everywhere end at a hundred, while the browser of the owner signs in throughout', async () => {
  const { browser, email } = await newPerson()
  const networks = Array.from({ length: 15 }, (_, n) => Array<string>(9).fill(`203.0.113.${n}`)).flat()
  const guessing = guess(email, networks)
  for (let n = 0; n < 10; n += 1) {
    expect((await send(browser, 'POST', 'sign-in', { email, password })).status).toBe(200)
  }
  const answers = await guessing
  expect(answers.filter(isTold)).toHaveLength(100)
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(35)

  const elsewhere = await send(accounts.browser(), 'POST', 'sign-in', { email, password }, '192.0.2.99')
  expect(elsewhere.status).toBe(429)
  expect(Number(elsewhere.headers.get('retry-after'))).toBeLessThanOrEqual(3600)
  await send(browser, 'POST', 'sign-out')
  expect((await send(browser, 'POST', 'sign-in', { email, password })).status).toBe(200)
})

test('another password ends every other session and keeps this one, under a new id', async () => {
  const { browser, email, id } = await newPerson()
  const phone = await anotherDevice(email)
  const before = new Map(browser.cookies)

  const change = { current: password, next: 'another horse' }
  expect(await send(browser, 'PUT', 'password', change)).toMatchObject({ status: 204, body: undefined })
  expect(await send(browser, 'GET', 'me')).toMatchObject({ status: 200, body: { user: { id } } })
  expect((await send(phone, 'GET', 'me')).status).toBe(401)

  const thief = accounts.browser()
  for (const [name, value] of before) thief.cookies.set(name, value)
  expect((await send(thief, 'GET', 'me')).status).toBe(401)

  expect((await send(accounts.browser(), 'POST', 'sign-in', { email, password })).status).toBe(401)
  await anotherDevice(email, 'another horse')
})

test('a wrong current password changes nothing, and is counted against this session alone', async () => {
  const { browser, email } = await newPerson()
  const phone = await anotherDevice(email)
  const change = { current: 'wrong horse', next: 'another horse' }
  for (let n = 0; n < 10; n += 1) {
    expect(await send(browser, 'PUT', 'password', change)).toMatchObject({
      status: 403,
      body: { code: 'PASSWORD_WRONG' },
    })
  }
  // A thief of the session cannot guess further on any process.
  for (let n = 0; n < 2; n += 1) {
    expect((await send(browser, 'PUT', 'password', { ...change, current: password })).status).toBe(429)
  }
  expect((await send(browser, 'GET', 'me')).status).toBe(200)
  expect((await send(accounts.browser(), 'POST', 'sign-in', { email, password })).status).toBe(200)
  expect((await send(phone, 'PUT', 'password', { ...change, current: password })).status).toBe(204)
  expect((await send(browser, 'GET', 'me')).status).toBe(401)
})

test('of two changes of one password at the same moment, one is made', async () => {
  const { browser, email } = await newPerson()
  const phone = await anotherDevice(email)
  const answers = await Promise.all([
    send(browser, 'PUT', 'password', { current: password, next: 'first horse' }),
    send(phone, 'PUT', 'password', { current: password, next: 'second horse' }),
  ])
  const winner = answers.findIndex(({ status }) => status === 204)
  const loser = 1 - winner
  expect([401, 403]).toContain(answers[loser]?.status)
  const devices = [browser, phone] as const
  expect((await send(devices[winner]!, 'GET', 'me')).status).toBe(200)
  expect((await send(devices[loser]!, 'GET', 'me')).status).toBe(401)
  await anotherDevice(email, ['first horse', 'second horse'][winner])
})

test('the list of sessions names each device, opens none, and ends any', async () => {
  const startedAt = Date.now() - 1000
  const { browser, email } = await newPerson()
  const phone = await anotherDevice(email)
  const tablet = await anotherDevice(email)

  const { status, body } = await send(browser, 'GET', 'sessions')
  expect(status).toBe(200)
  expect(body.sessions).toHaveLength(3)
  expect(body.sessions.map((session: { current: boolean }) => session.current)).toEqual([false, false, true])
  for (const session of body.sessions) {
    expect(Object.keys(session)).toEqual(['id', 'createdAt', 'lastSeenAt', 'userAgent', 'current'])
    expect(session.userAgent).toBe('undici')
    for (const time of [session.createdAt, session.lastSeenAt]) {
      expect(new Date(time).toISOString()).toBe(time)
      expect(Date.parse(time)).toBeGreaterThan(startedAt)
      expect(Date.parse(time)).toBeLessThan(Date.now() + 1000)
    }
    const asCookie = accounts.browser()
    for (const name of browser.cookies.keys()) asCookie.cookies.set(name, session.id)
    expect((await send(asCookie, 'GET', 'me')).status).toBe(401)
    for (const value of browser.cookies.values()) expect(value).not.toContain(session.id)
  }

  const [newest] = body.sessions
  expect(await send(browser, 'DELETE', `sessions/${newest.id}`)).toMatchObject({
    status: 204,
    body: undefined,
  })
  expect((await send(tablet, 'GET', 'me')).status).toBe(401)
  expect((await send(phone, 'GET', 'me')).status).toBe(200)
  expect((await send(browser, 'DELETE', `sessions/${newest.id}`)).status).toBe(404)

  expect(await send(browser, 'DELETE', 'sessions')).toMatchObject({ status: 204, body: undefined })
  expect((await send(phone, 'GET', 'me')).status).toBe(401)
  expect((await send(browser, 'GET', 'sessions')).body.sessions).toMatchObject([{ current: true }])
})

test("somebody else's session is not found, and lives on", async () => {
  const [mine, theirs] = [await newPerson(), await newPerson()]
  const [session] = (await send(theirs.browser, 'GET', 'sessions')).body.sessions
  for (const id of [session.id, 'nothing', '..%2f..%2fme']) {
    expect(await send(mine.browser, 'DELETE', `sessions/${id}`)).toMatchObject({
      status: 404,
      body: { code: 'SESSION_NOT_FOUND' },
    })
  }
  expect((await send(theirs.browser, 'GET', 'me')).status).toBe(200)
})

test('to end the session that one is using is to sign out', async () => {
  const { browser } = await newPerson()
  const [session] = (await send(browser, 'GET', 'sessions')).body.sessions
  expect((await send(browser, 'DELETE', `sessions/${session.id}`)).status).toBe(204)
  expect((await send(browser, 'GET', 'me')).status).toBe(401)
})

test.each([
  ['GET', 'me'],
  ['PUT', 'password'],
  ['GET', 'sessions'],
  ['DELETE', 'sessions'],
  ['DELETE', 'sessions/x'],
])('%s %s is for who is signed in', async (method, path) => {
  for (let n = 0; n < 2; n += 1) {
    expect(await send(accounts.browser(), method, path)).toMatchObject({
      status: 401,
      body: { code: 'SIGNED_OUT' },
    })
  }
})

test('kill -9 of either process, mid-use, loses nobody whose sign-up was answered', async () => {
  for (const victim of [1, 2]) {
    const before = await Promise.all(Array.from({ length: 4 }, () => newPerson()))
    const during = Array.from({ length: 12 }, async () => {
      const [browser, email] = [accounts.browser(), newEmail()]
      // The killed process does not answer: its sign-up may be tried again.
      const answer = await send(browser, 'POST', 'sign-up', { email, password }).catch(() => undefined)
      return { browser, email, status: answer?.status }
    })
    await Promise.race(during)
    await accounts.kill(victim)
    const acknowledged = (await Promise.all(during)).filter(({ status }) => status === 201)

    const everybody = [...before, ...acknowledged]
    for (const { browser, email } of everybody) {
      expect(await send(browser, 'GET', 'me')).toMatchObject({ status: 200, body: { user: { email } } })
    }
    await accounts.restart(victim)
    for (const { browser, email } of everybody) {
      for (let n = 0; n < 2; n += 1) {
        expect(await send(browser, 'GET', 'me')).toMatchObject({ status: 200, body: { user: { email } } })
      }
      await anotherDevice(email)
    }
  }
})

test('no password is ever written to a log', () => {
  for (const n of [1, 2]) {
    expect(accounts.process(n).output()).toContain('/api/accounts/')
    expect(accounts.process(n).output()).not.toMatch(/horse/)
  }
})
