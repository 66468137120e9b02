import { createHook } from 'node:async_hooks'
import type { Service } from '@repo/service'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { changePassword } from '../src/domain/accounts.ts'
import { GUESS_LIMIT, limitGuesses } from '../src/domain/limit-guesses.ts'
import { createPasswordHasher } from '../src/domain/password-hasher.ts'
import { openApp, type OpenApp } from './open-app.ts'

const email = 'ada@example.com'
const password = 'correct horse'

let opened: OpenApp
let app: Service

beforeAll(async () => {
  opened = await openApp()
  app = opened.app
})
afterAll(() => opened[Symbol.asyncDispose]())
beforeEach(async () => {
  const { database } = opened.resources
  await database.signInFailures.deleteMany()
  await database.user.deleteMany()
  await database.user.create({
    data: { email, passwordHash: await opened.resources.passwords.hash(password) },
  })
})

const post = (service: Service, path: string, payload: object, remoteAddress = '198.51.100.1') =>
  service.inject({ method: 'POST', url: `/api/accounts/${path}`, payload, remoteAddress })
const signIn = (credentials: object = {}, address?: string) =>
  post(app, 'sign-in', { email, password, ...credentials }, address)
const failures = () => opened.resources.database.signInFailures.findMany({ orderBy: { key: 'asc' } })

test('an email is the same however it is typed', async () => {
  const answer = await signIn({ email: ' ADA@Example.com\n' })
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toEqual({ user: { id: expect.any(String), email } })
})

test('whether the account exists makes no difference to the answer, to the hashing or to the database', async () => {
  const operations: unknown[] = []
  const database = opened.resources.database.$extends({
    query: {
      $allOperations({ model, operation, args, query }) {
        operations.push([model, operation])
        return query(args)
      },
    },
  })
  const watched = await opened.again({ database: database as never })
  const hashing: string[] = []
  const hook = createHook({ init: (_id, type) => void (type === 'ARGON2REQUEST' && hashing.push(type)) })

  async function watch(credentials: object): Promise<object> {
    operations.length = 0
    hashing.length = 0
    hook.enable()
    const answer = await post(watched, 'sign-in', credentials)
    hook.disable()
    const { requestId: _, ...body } = answer.json()
    const headers = { ...answer.headers, date: '', 'x-request-id': '' }
    return { status: answer.statusCode, body, headers, hashing: hashing.length, operations: [...operations] }
  }

  const known = await watch({ email, password: 'wrong' })
  const unknown = await watch({ email: 'nobody@example.com', password: 'wrong' })
  expect(unknown).toEqual(known)
  expect(known).toMatchObject({ status: 401, body: { code: 'SIGN_IN_REFUSED' }, hashing: 1 })
  expect(operations).toEqual([
    [undefined, '$queryRaw'],
    ['User', 'findUnique'],
    [undefined, '$queryRaw'],
    [undefined, '$executeRaw'],
  ])
})

test('after too many wrong passwords even the right one is refused, until the window has passed', async () => {
  for (let n = 0; n < GUESS_LIMIT.perAccount; n += 1) {
    expect((await signIn({ password: `wrong ${n}` }, `198.51.100.${n}`)).statusCode).toBe(401)
  }
  const refused = await signIn({}, '203.0.113.7')
  expect(refused.statusCode).toBe(429)
  expect(refused.json()).toMatchObject({ code: 'SIGN_IN_LIMITED' })
  const retryAfterMs = Number(refused.headers['retry-after']) * 1000
  expect(retryAfterMs).toBeGreaterThan(GUESS_LIMIT.windowMs - 30_000)
  expect(retryAfterMs).toBeLessThanOrEqual(GUESS_LIMIT.windowMs)

  await opened.resources.database.signInFailures.updateMany({ data: { expiresAt: new Date(Date.now() - 1) } })
  expect((await signIn()).statusCode).toBe(200)
})

test('an account that does not exist is locked like one that does', async () => {
  const guess = () => signIn({ email: 'nobody@example.com' })
  for (let n = 0; n < GUESS_LIMIT.perAccount; n += 1) expect((await guess()).statusCode).toBe(401)
  expect((await guess()).statusCode).toBe(429)
  expect((await signIn()).statusCode).toBe(200)
})

test('the right password wipes off what was counted against the account', async () => {
  for (let n = 0; n < GUESS_LIMIT.perAccount - 1; n += 1) await signIn({ password: 'wrong' })
  expect((await signIn()).statusCode).toBe(200)
  const [onlyNetwork, ...others] = await failures()
  expect(others).toEqual([])
  // Whoever has an account could otherwise guess at all the others for ever, signing in now and then.
  expect(onlyNetwork).toMatchObject({
    key: expect.stringMatching(/^network:/),
    count: GUESS_LIMIT.perAccount - 1,
  })
})

test('a network that failed too often is refused for every account, and no other network is', async () => {
  await signIn({ password: 'wrong' }, '2001:db8::1')
  await opened.resources.database.signInFailures.updateMany({
    where: { key: { startsWith: 'network:' } },
    data: { count: GUESS_LIMIT.perNetwork },
  })
  expect((await signIn({}, '2001:db8::2')).statusCode).toBe(429)
  expect((await signIn({}, '2001:db8:0:1::1')).statusCode).toBe(200)
})

test('to ask which emails are taken counts as guessing', async () => {
  for (let n = 0; n < 3; n += 1) {
    expect((await post(app, 'sign-up', { email, password })).statusCode).toBe(409)
  }
  expect((await failures()).map(({ count }) => count)).toEqual([3])
  await opened.resources.database.signInFailures.updateMany({ data: { count: GUESS_LIMIT.perNetwork } })
  expect((await post(app, 'sign-up', { email: 'new@example.com', password })).statusCode).toBe(429)
})

test('a check that could not be made is no failed one', async () => {
  const guess = { email, address: '198.51.100.1' }
  const guessing = limitGuesses(opened.resources.database, guess, () => Promise.reject(new Error('busy')))
  await expect(guessing).rejects.toThrow('busy')
  expect(await failures()).toEqual([])
})

test('the right password, found while others of a volley were counted, is refused as well', async () => {
  const counted = Promise.withResolvers<string>()
  const { database } = opened.resources
  const guess = { email, address: '198.51.100.1' }
  const lucky = limitGuesses(database, guess, () => counted.promise)
  const refused = expect(lucky).rejects.toMatchObject({ code: 'SIGN_IN_LIMITED' })
  for (let n = 0; n < GUESS_LIMIT.perAccount; n += 1) await limitGuesses(database, guess, async () => null)
  counted.resolve('right')
  await refused
})

test('many people behind one address, and many devices of one person, sign in at the same moment', async () => {
  const guess = { email, address: '198.51.100.1' }
  const everybody = Array.from({ length: GUESS_LIMIT.perNetwork + 20 }, () =>
    limitGuesses(opened.resources.database, guess, async () => 'right'),
  )
  expect(new Set(await Promise.all(everybody))).toEqual(new Set(['right']))
})

test('failures that have expired leave the table by themselves', async () => {
  const expiresAt = new Date(Date.now() - 1)
  const data = Array.from({ length: 12 }, (_, n) => ({ key: `account:${n}`, count: 1, expiresAt }))
  await opened.resources.database.signInFailures.createMany({ data })
  await signIn({ password: 'wrong' })
  expect(await failures()).toHaveLength(12 - 10 + 2)
  await signIn({ password: 'wrong' })
  expect(await failures()).toHaveLength(2)
})

test('a password hashed at an older cost is hashed anew when its owner signs in, and at no other time', async () => {
  const { database } = opened.resources
  const old = await createPasswordHasher({ memoryKiB: 8, passes: 1, parallelism: 1 }).hash(password)
  const stored = async () => (await database.user.findUniqueOrThrow({ where: { email } })).passwordHash
  await database.user.update({ where: { email }, data: { passwordHash: old } })

  expect((await signIn({ password: 'wrong' })).statusCode).toBe(401)
  expect(await stored()).toBe(old)
  expect((await signIn()).statusCode).toBe(200)
  const rehashed = await stored()
  expect(rehashed).toContain('$m=19456,t=2,p=1$')
  expect((await signIn()).statusCode).toBe(200)
  expect(await stored()).toBe(rehashed)
})

test('a sign-in with the old password that overlaps a change of the password opens nothing', async () => {
  const real = opened.resources.passwords
  const verified = Promise.withResolvers<void>()
  const changed = Promise.withResolvers<void>()
  const slow = await opened.again({
    passwords: {
      ...real,
      async verify(...arguments_) {
        const isRight = await real.verify(...arguments_)
        verified.resolve()
        await changed.promise
        return isRight
      },
    },
  })
  const { session } = Object.fromEntries((await signIn()).cookies.map(({ name, value }) => [name, value]))
  const overlapping = post(slow, 'sign-in', { email, password })
  await verified.promise
  const change = await app.inject({
    method: 'PUT',
    url: '/api/accounts/password',
    payload: { current: password, next: 'another horse' },
    cookies: { session: session! },
  })
  expect(change.statusCode).toBe(204)
  changed.resolve()

  const answer = await overlapping
  expect(answer.statusCode).toBe(401)
  expect(answer.json()).toMatchObject({ code: 'SIGN_IN_REFUSED' })
  const sessions = await app.inject({
    url: '/api/accounts/sessions',
    cookies: Object.fromEntries(change.cookies.map(({ name, value }) => [name, value])),
  })
  expect(sessions.json().sessions).toMatchObject([{ current: true }])
})

test('a password is not changed while the sessions it opened cannot be ended', async () => {
  const { id } = await opened.resources.database.user.findUniqueOrThrow({ where: { email } })
  const change = { userId: id, current: password, next: 'another horse', address: '198.51.100.1' }
  const changing = changePassword(opened.resources, change, {
    endOthers: () => Promise.reject(new Error('The store is away')),
  })
  await expect(changing).rejects.toThrow('The store is away')
  expect((await signIn()).statusCode).toBe(200)
})
