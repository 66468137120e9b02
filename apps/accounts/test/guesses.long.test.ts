import { hash, randomBytes } from 'node:crypto'
import type { Service } from '@repo/service'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { createDeviceCookie } from '../src/domain/device-cookie.ts'
import { GUESS_LIMITS, limitGuesses } from '../src/domain/limit-guesses.ts'
import { openApp, type OpenApp } from './open-app.ts'

// Tests who is refused, and who is not. fleet.long.test.ts tests that all processes count together.

const email = 'ada@example.com'
const password = 'correct horse'
const home = '192.0.2.1'
const { guesser, account, network } = GUESS_LIMITS

let opened: OpenApp
let app: Service
let passwordHash: string

beforeAll(async () => {
  opened = await openApp()
  app = opened.app
  passwordHash = await opened.resources.passwords.hash(password, '198.51.100.1')
})
afterAll(() => opened[Symbol.asyncDispose]())
beforeEach(async () => {
  const { database } = opened.resources
  await database.signInFailures.deleteMany()
  await database.user.deleteMany()
  await database.user.create({ data: { email, passwordHash } })
})
afterEach(() => void vi.useRealTimers())

type Cookies = Record<string, string>

async function send(
  method: 'POST' | 'PUT',
  path: string,
  payload: object,
  cookies: Cookies = {},
  from = home,
) {
  const url = `/api/accounts/${path}`
  const sent = Object.fromEntries(Object.entries(cookies).map(([name, value]) => [`${name}-80`, value]))
  const answer = await app.inject({ method, url, payload, cookies: sent, remoteAddress: from })
  const set = answer.cookies.map(({ name, value }) => [name.replace(/-80$/, ''), value])
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: answer.json.bind(answer),
    /** With the names of a cookie without the port. */
    cookies: { ...cookies, ...Object.fromEntries(set) },
  }
}
const signIn = (credentials: object = {}, cookies?: Cookies, from?: string) =>
  send('POST', 'sign-in', { email, password, ...credentials }, cookies, from)

/** Wrong passwords without the work of hashing: `times` from each of `networks` networks. */
async function guessFrom(networks: number, times: number, at = email): Promise<void> {
  for (let n = 0; n < networks * times; n += 1) {
    const stranger = { network: `198.51.100.${n % networks}`, email: at }
    await limitGuesses(opened.resources.database, stranger, async () => null)
  }
}
/** Simulates that so much time has passed on the clock of the database. */
const pass = (ms: number) => opened.resources.database.$executeRaw`
  UPDATE sign_in_failures SET expires_at = expires_at - ${ms}::float8 * interval '1 millisecond'`
const counted = async () => {
  const rows = await opened.resources.database.signInFailures.findMany({ orderBy: { key: 'asc' } })
  return rows.map(({ key, count }) => `${key.split(':')[0]} ${count}`)
}

test('after ten wrong passwords even the right one is refused in that network, and one more try fits in each hour', async () => {
  for (let n = 0; n < guesser.attempts; n += 1) {
    expect((await signIn({ password: `wrong ${n}` })).status).toBe(401)
  }
  const refused = await signIn()
  expect(refused).toMatchObject({ status: 429 })
  expect(refused.body()).toMatchObject({ code: 'SIGN_IN_LIMITED' })
  const waitMs = Number(refused.headers['retry-after']) * 1000
  expect(waitMs).toBeGreaterThan(guesser.everyMs - 60_000)
  expect(waitMs).toBeLessThanOrEqual(guesser.everyMs)

  await pass(waitMs)
  expect((await signIn({ password: 'wrong again' })).status).toBe(401)
  expect((await signIn()).status).toBe(429)
  await pass(guesser.everyMs)
  expect((await signIn()).status).toBe(200)
})

test("strangers use up what is theirs, and neither the owner's browser nor the session of the owner notices", async () => {
  const owner = (await signIn()).cookies
  await guessFrom(10, 10)
  expect((await signIn({}, {}, '203.0.113.1')).status).toBe(429)
  // After a day they have the attempts of one day, not another hundred.
  await pass(24 * account.everyMs)
  await guessFrom(24, 1)
  expect((await signIn({}, {}, '203.0.113.1')).status).toBe(429)

  expect((await signIn({}, { device: owner.device! })).status).toBe(200)
  const change = { current: password, next: 'another horse' }
  expect((await send('PUT', 'password', change, owner, '198.51.100.1')).status).toBe(204)
})

test('a single network never uses up what all strangers share', async () => {
  const from = '198.51.100.0'
  await guessFrom(1, guesser.attempts)
  for (let hour = 0; hour < account.attempts; hour += 1) {
    await pass(account.everyMs)
    await guessFrom(1, 1)
  }
  expect((await signIn({}, {}, from)).status).toBe(429)
  expect((await signIn({}, {}, '203.0.113.1')).status).toBe(200)
})

test('an account that does not exist is locked like one that does', async () => {
  await guessFrom(10, 10, 'nobody@example.com')
  expect((await signIn({ email: 'nobody@example.com' }, {}, '203.0.113.1')).status).toBe(429)
  expect((await signIn({}, {}, '203.0.113.1')).status).toBe(200)
})

test('the right password wipes off what was counted of this guesser, and nothing that others share', async () => {
  for (let n = 0; n < guesser.attempts - 1; n += 1) await signIn({ password: 'wrong' })
  const { status, cookies } = await signIn()
  expect(status).toBe(200)
  // Otherwise anyone with an account could guess at all others for ever, by signing in now and then.
  expect(await counted()).toEqual(['account 9', 'network 9'])

  const { device } = cookies as { device: string }
  for (let n = 0; n < guesser.attempts - 1; n += 1) await signIn({ password: 'wrong' }, { device })
  expect(await counted()).toEqual(['account 9', 'guesser 9', 'network 9'])
  expect((await signIn({}, { device })).status).toBe(200)
  expect(await counted()).toEqual(['account 9', 'network 9'])
})

test('a network that failed too often is refused for every account, and no other network is', async () => {
  const { device } = (await signIn()).cookies as { device: string }
  for (let n = 0; n < network.attempts; n += 1) {
    const guess = { network: '2001:db8::/64', email: `person${n}@example.com` }
    await limitGuesses(opened.resources.database, guess, async () => null)
  }
  expect((await signIn({}, {}, '2001:db8::2')).status).toBe(429)
  expect((await signIn({}, {}, '2001:db8:0:1::1')).status).toBe(200)
  expect((await signIn({}, { device }, '2001:db8::2')).status).toBe(200)
})

test('to ask which emails are taken counts as guessing', async () => {
  for (let n = 0; n < 3; n += 1) {
    expect((await send('POST', 'sign-up', { email, password })).status).toBe(409)
  }
  expect(await counted()).toEqual(['network 3'])
  for (let n = 3; n < network.attempts; n += 1) {
    await limitGuesses(opened.resources.database, { network: home }, async () => null)
  }
  expect((await send('POST', 'sign-up', { email: 'new@example.com', password })).status).toBe(429)
})

test('a check that could not be made is no failed one', async () => {
  const guess = { email, network: home }
  const guessing = limitGuesses(opened.resources.database, guess, () => Promise.reject(new Error('busy')))
  await expect(guessing).rejects.toThrow('busy')
  expect(await counted()).toEqual([])
})

test('the right password, found while others of a volley were counted, is refused as well', async () => {
  const verified = Promise.withResolvers<string>()
  const lucky = limitGuesses(opened.resources.database, { email, network: home }, () => verified.promise)
  const refused = expect(lucky).rejects.toMatchObject({ code: 'SIGN_IN_LIMITED' })
  await guessFrom(10, 10)
  verified.resolve('right')
  await refused
})

test('many people behind one address, and many devices of one person, sign in at the same moment', async () => {
  const everybody = Array.from({ length: network.attempts + 20 }, () =>
    limitGuesses(opened.resources.database, { email, network: home }, async () => 'right'),
  )
  expect(new Set(await Promise.all(everybody))).toEqual(new Set(['right']))
})

test('failures that have expired leave the table by themselves', async () => {
  const expiresAt = new Date(Date.now() - 1)
  const data = Array.from({ length: 12 }, (_, n) => ({ key: `account:${n}`, count: 1, expiresAt }))
  const { database } = opened.resources
  // For a table that it knows with one row, Postgres chooses the plan that once removed all at once.
  await database.signInFailures.create({
    data: { key: 'other:1', count: 1, expiresAt: new Date(Date.now() + 60_000) },
  })
  await database.$executeRaw`ANALYZE sign_in_failures`
  await database.signInFailures.deleteMany()
  await database.signInFailures.createMany({ data })
  await signIn({ password: 'wrong' })
  expect(await counted()).toHaveLength(12 - 10 + 3)
  await signIn({ password: 'wrong' })
  expect(await counted()).toEqual(['account 2', 'guesser 2', 'network 2'])
})

test('what was counted by a process whose clock is wrong is forgotten when the database says so', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 30 * 24 * 60 * 60_000 })
  await guessFrom(1, guesser.attempts)
  expect((await signIn({}, {}, '198.51.100.0')).status).toBe(429)
  vi.useRealTimers()
  const refused = await signIn({}, {}, '198.51.100.0')
  expect(refused.status).toBe(429)
  expect(Number(refused.headers['retry-after']) * 1000).toBeLessThanOrEqual(guesser.everyMs)
  await pass(guesser.everyMs)
  expect((await signIn({}, {}, '198.51.100.0')).status).toBe(200)
})

test('a browser that is known guesses no further than a stranger, and keeps no other browser out', async () => {
  const { device } = (await signIn()).cookies as { device: string }
  const { device: phone } = (await signIn()).cookies as { device: string }
  for (let n = 0; n < guesser.attempts; n += 1) {
    // From any network.
    expect((await signIn({ password: 'wrong' }, { device }, `198.51.100.${n}`)).status).toBe(401)
  }
  expect((await signIn({}, { device })).status).toBe(429)
  expect((await signIn({}, { device: phone })).status).toBe(200)
  expect((await signIn()).status).toBe(200)
})

test('a browser keeps its cookie to itself, for half a year and over the sign-out', async () => {
  const signedIn = await signIn()
  const line = [signedIn.headers['set-cookie']].flat().find((one) => one?.startsWith('device-80='))
  expect(line).toMatch(/^device-80=\S+; Max-Age=15552000; Path=\/; HttpOnly; SameSite=Strict$/)
  const over = await send('POST', 'sign-out', {}, signedIn.cookies)
  expect(over.cookies.device).toBe(signedIn.cookies.device)
  expect(`${over.headers['clear-site-data']}`).not.toMatch(/"cookies"|"\*"/)

  const overHttps = createDeviceCookie({ ...secretsOf(), origin: 'https://example.com' })
  expect(overHttps).toMatchObject({ name: '__Host-device', attributes: { secure: true } })
})

test.each<[string, (device: string) => Promise<string> | string]>([
  ['forged', (device) => device.replace(/.{43}$/, randomBytes(32).toString('base64url'))],
  ['of another browser, in part', (device) => device.replace(/\.[\w-]{22}\./, `.${'x'.repeat(22)}.`)],
  ['made to last', (device) => device.replace(/^\w+/, 'zzzzzzzzz')],
  ['no cookie at all', () => '%00'.repeat(100)],
  ['of another account', async () => (await signUp('eve@example.com')).device!],
  [
    'signed with a secret that is not ours',
    () => issue({ secrets: [randomBytes(32).toString('base64url')] }),
  ],
  ['older than half a year', () => issue({ at: Date.now() - 181 * 24 * 60 * 60_000 })],
  [
    'from before the password changed',
    async (device) => {
      const { cookies } = await signIn({}, { device })
      const change = { current: password, next: 'another horse' }
      const changed = await send('PUT', 'password', change, cookies)
      expect(changed.status).toBe(204)
      // The browser that changed the password stays known.
      const again = { password: 'another horse' }
      expect((await signIn(again, { device: changed.cookies.device! }, '203.0.113.1')).status).toBe(200)
      return cookies.device!
    },
  ],
])('a device cookie that is %s makes nobody known', async (_, alter) => {
  const { device } = (await signIn()).cookies as { device: string }
  await guessFrom(10, 10)
  const altered = await alter(device)
  const { passwordHash: now } = await opened.resources.database.user.findUniqueOrThrow({ where: { email } })
  const current = now === passwordHash ? password : 'another horse'
  expect((await signIn({ password: current }, { device: altered }, '203.0.113.1')).status).toBe(429)
  if (now === passwordHash) expect((await signIn({}, { device }, '203.0.113.1')).status).toBe(200)
})

test('a device cookie is read by processes of both releases while the secrets change', async () => {
  const [old, fresh] = [randomBytes(32), randomBytes(32)].map((bytes) => bytes.toString('base64url'))
  const lists = [[old!], [fresh!, old!], [fresh!]]
  const [before, both, after] = lists.map((secrets) =>
    createDeviceCookie({ secrets, origin: 'http://localhost' }),
  )
  const owner = { id: 'ada', passwordHash }
  const device = both!.read(both!.issue(owner), owner)
  expect(device).not.toBeNull()
  const cookie = both!.issue(owner)
  for (const reader of [before, both, after]) expect(reader!.read(cookie, owner)).not.toBeNull()
  expect(both!.read(before!.issue(owner), owner)).not.toBeNull()
  expect(after!.read(before!.issue(owner), owner)).toBeNull()
})

test('neither the table nor the cookie says whose they are', async () => {
  const { cookies } = await signIn()
  await signIn({ password: 'wrong' })
  const rows = await opened.resources.database.signInFailures.findMany()
  const { id } = await opened.resources.database.user.findUniqueOrThrow({ where: { email } })
  const text = JSON.stringify([rows, cookies.device])
  for (const secret of [email, id, home, hash('sha256', email, 'base64url')])
    expect(text).not.toContain(secret)
})

async function signUp(as: string): Promise<Cookies> {
  const { status, cookies } = await send('POST', 'sign-up', { email: as, password })
  expect(status).toBe(201)
  return cookies
}

function secretsOf() {
  return { secrets: opened.env.SESSION_SECRETS, origin: opened.env.PUBLIC_ORIGIN }
}

async function issue({ at = Date.now(), ...options }: { at?: number; secrets?: string[] }): Promise<string> {
  const owner = await opened.resources.database.user.findUniqueOrThrow({ where: { email } })
  vi.useFakeTimers({ toFake: ['Date'], now: at })
  const cookie = createDeviceCookie({ ...secretsOf(), ...options }).issue(owner)
  vi.useRealTimers()
  return cookie
}
