import { connect, createServer, type Socket } from 'node:net'
import { createDatabase, fleet, pollUntil, type Browser, type Fleet, type TestDatabase } from '@repo/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { changePassword, PasswordWrong, type Listener } from '../src/domain/accounts.ts'
import { mailOwner } from '../src/jobs/send-mail.ts'
import { createDeviceCookie } from '../src/domain/device-cookie.ts'
import { newOrigin, openApp, type OpenApp } from './open-app.ts'

// Postgres becomes unavailable between two steps of one request: a proxy breaks the connection at a given statement.

const password = 'correct horse'
let breaksAt: RegExp | undefined
let database: TestDatabase
let proxy: Proxy
let accounts: Fleet

beforeAll(async () => {
  database = await createDatabase('accounts')
  proxy = await openProxy(new URL(database.url), (bytes) => breaksAt?.test(bytes.toString('latin1')) ?? false)
  accounts = await fleet(new URL('..', import.meta.url), { env: { DATABASE_URL: proxy.url } })
})
afterAll(async () => {
  await accounts?.[Symbol.asyncDispose]()
  await proxy?.[Symbol.asyncDispose]()
  await database?.[Symbol.asyncDispose]()
})
afterEach(() => (breaksAt = undefined))

async function send(browser: Browser, method: string, path: string, json?: unknown) {
  const answer = await browser.request(`/api/accounts/${path}`, {
    method,
    ...(json !== undefined && { json }),
  })
  const text = await answer.text()
  return { status: answer.status, setCookie: answer.headers.getSetCookie(), body: text && JSON.parse(text) }
}
const signUp = (browser: Browser, email: string) => send(browser, 'POST', 'sign-up', { email, password })
const signIn = (browser: Browser, email: string) => send(browser, 'POST', 'sign-in', { email, password })

test('a sign-in that cannot be finished signs nobody in', async () => {
  const [owner, browser, email] = [accounts.browser(), accounts.browser(), 'sign-in@example.com']
  expect((await signUp(owner, email)).status).toBe(201)

  // The statements after the session has begun.
  breaksAt = /"users"\."id" = |FOR SHARE/
  const failed = await signIn(browser, email)
  expect(failed).toMatchObject({ status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  expect([...browser.cookies]).toEqual([])
  expect(failed.setCookie.filter((line) => /^\w+=[^;]/.test(line))).toEqual([])

  breaksAt = undefined
  expect((await send(owner, 'GET', 'sessions')).body.sessions).toMatchObject([{ current: true }])
  expect((await signIn(browser, email)).status).toBe(200)
})

test('a sign-up that cannot be finished makes no account and signs nobody in', async () => {
  const [browser, email] = [accounts.browser(), 'sign-up@example.com']
  breaksAt = /COMMIT/
  const failed = await signUp(browser, email)
  expect(failed).toMatchObject({ status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  expect([...browser.cookies]).toEqual([])

  breaksAt = undefined
  expect((await signUp(browser, email)).status).toBe(201)
  expect((await send(browser, 'GET', 'sessions')).body.sessions).toHaveLength(1)
})

test('a change of the password that cannot be finished changes nothing, and leaves nobody signed in', async () => {
  const [browser, email] = [accounts.browser(), 'change@example.com']
  expect((await signUp(browser, email)).status).toBe(201)
  const thief = new Map(browser.cookies)
  breaksAt = /COMMIT/
  const change = { current: password, next: 'another horse' }
  expect(await send(browser, 'PUT', 'password', change)).toMatchObject({
    status: 503,
    body: { code: 'DATABASE_UNAVAILABLE' },
  })

  breaksAt = undefined
  for (const cookies of [browser.cookies, thief]) {
    const copy = accounts.browser()
    for (const [name, value] of cookies) copy.cookies.set(name, value)
    expect((await send(copy, 'GET', 'me')).status).toBe(401)
  }
  expect((await signIn(browser, email)).status).toBe(200)
  expect((await send(browser, 'GET', 'sessions')).body.sessions).toHaveLength(1)
})

test('while sessions cannot be stored neither an account is made nor a password changed', async () => {
  await using opened = await openApp()
  const limping = await opened.again({ sessions: { ...opened.resources.sessions, create: fail } })
  const post = (path: string, email: string, service = opened.app) =>
    service.inject({ method: 'POST', url: `/api/accounts/${path}`, payload: { email, password } })

  expect((await post('sign-up', 'eve@example.com', limping)).statusCode).toBeGreaterThanOrEqual(500)
  const { statusCode, cookies } = await post('sign-up', 'eve@example.com')
  expect(statusCode).toBe(201)
  const change = await limping.inject({
    method: 'PUT',
    url: '/api/accounts/password',
    payload: { current: password, next: 'another horse' },
    cookies: Object.fromEntries(cookies.map(({ name, value }) => [name, value])),
  })
  expect(change.statusCode).toBeGreaterThanOrEqual(500)
  expect((await post('sign-in', 'eve@example.com')).statusCode).toBe(200)
})

test('while other sessions cannot be ended the password stays, and so does this session', async () => {
  await using opened = await openApp()
  const { change, session, user } = await changeOf(opened)
  session.endOthers = fail
  await expect(change()).rejects.toThrow('The store is away')
  expect(session.isEnded).toBe(false)
  expect(await opened.resources.database.user.findUniqueOrThrow({ where: { id: user.id } })).toEqual(user)
})

test('a sign-in with the old password, begun while others are being ended, waits and opens nothing', async () => {
  await using opened = await openApp()
  const { change, session, user } = await changeOf(opened)
  const [ended, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  session.endOthers = () => (ended.resolve(), goOn.promise)
  const changing = change()
  await ended.promise
  const payload = { email: user.email, password }
  const signingIn = opened.app.inject({ method: 'POST', url: '/api/accounts/sign-in', payload })
  await pollUntil('the sign-in waits for the change', async () => {
    const waiting = await opened.resources.database.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      [],
    )
    return waiting.length === 1
  })
  goOn.resolve()
  await changing
  expect((await signingIn).statusCode).toBe(401)
})

test('a change that comes second ends nothing, so the session that the first has begun lives on', async () => {
  await using opened = await openApp()
  const { change, accounts, session, user } = await changeOf(opened)
  const { hash } = accounts.passwords
  const first = await hash('first horse', network)
  accounts.passwords.hash = async (...words) => {
    await accounts.database.user.update({ where: { id: user.id }, data: { passwordHash: first } })
    return hash(...words)
  }
  let isAnyEnded = false
  session.endOthers = async () => void (isAnyEnded = true)
  await expect(change()).rejects.toThrow(PasswordWrong)
  expect(isAnyEnded).toBe(false)
})

function fail(): Promise<never> {
  return Promise.reject(new Error('The store is away'))
}

const network = '198.51.100.1'

async function changeOf({ resources, env }: OpenApp) {
  const { database, passwords } = resources
  const devices = createDeviceCookie({ secrets: env.SESSION_SECRETS, origin: env.PUBLIC_ORIGIN })
  const data = { email: 'ada@example.com', passwordHash: await passwords.hash(password, network) }
  const user = await database.user.create({ data })
  const session = {
    origin: newOrigin(),
    isEnded: false,
    begin: async () => {},
    end: async () => void (session.isEnded = true),
    endOthers: async () => {},
    endAll: async () => {},
  }
  const words = {
    userId: user.id,
    sessionId: 'this one',
    current: password,
    next: 'another horse',
    network,
  }
  const listeners: Listener[] = []
  // keep: mail
  listeners.push(mailOwner)
  // /keep
  const accounts = { database, passwords: { ...passwords }, devices, listeners, host: 'example.com' }
  return { user, accounts, session, change: () => changePassword(accounts, words, session) }
}

interface Proxy extends AsyncDisposable {
  url: string
}

/** Passes bytes on in both directions, and breaks the connection before a forbidden statement reaches the server. */
async function openProxy(target: URL, isForbidden: (words: Buffer | string) => boolean): Promise<Proxy> {
  const open = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    const both = [client, upstream]
    for (const socket of both) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        open.delete(socket)
        for (const one of both) one.destroy()
      })
    }
    client.on('data', (words) => (isForbidden(words) ? client.destroy() : upstream.write(words)))
    upstream.on('data', (words) => client.write(words))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(target)
  url.hostname = '127.0.0.1'
  url.port = `${(server.address() as { port: number }).port}`
  return {
    url: `${url}`,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
