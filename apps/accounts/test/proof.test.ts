import type { Service } from '@repo/service'
import { currentUser } from '@repo/session'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { lockAccount } from '../src/domain/administer.ts'
import { newOrigin, openApp, type OpenApp } from './open-app.ts'

const email = 'ada@example.com'
const password = 'correct horse'
// Of this file only: all tests count sign-ups in one store.
const remoteAddress = '203.0.113.77'
let opened: OpenApp
let app: Service
let people = 0

beforeAll(async () => {
  opened = await openApp()
  app = await opened.again({})
  app.get('/fresh', { config: { access: 'fresh-user' } }, async (request) => currentUser(request))
})
afterAll(() => opened[Symbol.asyncDispose]())
afterEach(() => void vi.useRealTimers())

/** A browser with one cookie jar. */
function browse(cookies: Record<string, string> = {}, service = app) {
  return async (method: 'GET' | 'POST' | 'PUT', url: string, payload?: object) => {
    const answer = await service.inject({ method, url, cookies, remoteAddress, ...(payload && { payload }) })
    for (const { name, value } of answer.cookies) cookies[name] = value
    return { status: answer.statusCode, code: answer.body && answer.json().code }
  }
}

async function signUp(): Promise<{ cookies: Record<string, string>; email: string }> {
  const [cookies, own] = [{}, `${(people += 1)}${email}`]
  const answer = await browse(cookies)('POST', '/api/accounts/sign-up', { email: own, password })
  expect(answer.status).toBe(201)
  return { cookies, email: own }
}

const prove = (ask: ReturnType<typeof browse>, typed = password) =>
  ask('POST', '/api/accounts/prove', { password: typed })

test('the password makes an old session fresh again, and a stolen copy of it ends', async () => {
  const { cookies } = await signUp()
  const [owner, thief] = [browse(cookies), browse({ ...cookies })]
  expect((await owner('GET', '/fresh')).status).toBe(200)

  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11 * 60_000 })
  expect(await owner('GET', '/fresh')).toEqual({ status: 403, code: 'SESSION_NOT_FRESH' })
  expect(await prove(owner, 'wrong horse')).toEqual({ status: 403, code: 'PASSWORD_WRONG' })
  expect(await owner('GET', '/fresh')).toEqual({ status: 403, code: 'SESSION_NOT_FRESH' })
  expect((await prove(owner)).status).toBe(204)
  expect((await owner('GET', '/fresh')).status).toBe(200)
  expect(await thief('GET', '/fresh')).toEqual({ status: 401, code: 'SIGNED_OUT' })
})

test('guesses are counted with those at the change of the password, by the session', async () => {
  const { cookies, email: own } = await signUp()
  const thief = browse({ ...cookies })
  const change = { current: 'wrong horse', next: 'another horse' }
  for (let n = 0; n < 5; n += 1) {
    expect((await prove(thief, 'wrong horse')).status).toBe(403)
    expect((await thief('PUT', '/api/accounts/password', change)).status).toBe(403)
  }
  expect(await prove(thief)).toEqual({ status: 429, code: 'SIGN_IN_LIMITED' })
  const elsewhere = browse()
  expect((await elsewhere('POST', '/api/accounts/sign-in', { email: own, password })).status).toBe(200)
  expect((await prove(elsewhere)).status).toBe(204)
})

test('a proof that overlaps a lock begins no session', async () => {
  const { database, passwords } = opened.resources
  const { cookies, email: own } = await signUp()
  const { id } = await database.user.findUniqueOrThrow({ where: { email: own } })
  const locking = await opened.again({
    passwords: {
      ...passwords,
      async verify(...words) {
        await lockAccount({ database, endSessions: async () => {}, origin: newOrigin() }, id)
        return passwords.verify(...words)
      },
    },
  })
  const ask = browse(cookies, locking)
  expect(await prove(ask)).toEqual({ status: 401, code: 'SIGN_IN_REFUSED' })
  expect((await ask('GET', '/api/accounts/me')).status).toBe(401)
})

test('a role that is taken away while its owner changes the password does not come back with the new session', async () => {
  const { database, passwords } = opened.resources
  const { cookies, email: own } = await signUp()
  await database.user.update({ where: { email: own }, data: { roles: ['admin'] } })
  const revoking = await opened.again({
    passwords: {
      ...passwords,
      async hash(...words) {
        await database.user.update({ where: { email: own }, data: { roles: [] } })
        return passwords.hash(...words)
      },
    },
  })
  const ask = browse(cookies, revoking)
  const change = { current: password, next: 'another horse' }
  expect((await ask('PUT', '/api/accounts/password', change)).status).toBe(204)
  const admin = `/api/accounts/admin/accounts?email=${own}`
  expect(await ask('GET', admin)).toEqual({ status: 403, code: 'ROLE_MISSING' })
})

test('a locked account is to a stranger what an account is that does not exist', async () => {
  const { database } = opened.resources
  const { email: own } = await signUp()
  await database.user.update({ where: { email: own }, data: { lockedAt: new Date() } })
  const ask = async (credentials: object) =>
    browse()('POST', '/api/accounts/sign-in', { email: own, password, ...credentials })
  const refused = { status: 401, code: 'SIGN_IN_REFUSED' }
  expect(await ask({})).toEqual(refused)
  expect(await ask({ password: 'wrong horse' })).toEqual(refused)
  expect(await ask({ email: 'nobody@example.com' })).toEqual(refused)
})
