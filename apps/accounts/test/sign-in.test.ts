import { createHook } from 'node:async_hooks'
import type { Service } from '@repo/service'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
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
    data: { email, passwordHash: await opened.resources.passwords.hash(password, '198.51.100.1') },
  })
})

const post = (service: Service, path: string, payload: object, remoteAddress = '198.51.100.1') =>
  service.inject({ method: 'POST', url: `/api/accounts/${path}`, payload, remoteAddress })
const signIn = (credentials: object = {}, address?: string) =>
  post(app, 'sign-in', { email, password, ...credentials }, address)

test('an email is the same however it is typed', async () => {
  const answer = await signIn({ email: ' ADA@Example.com\n' })
  expect(answer.statusCode).toBe(200)
  expect(answer.json()).toEqual({
    user: {
      id: expect.any(String),
      email,
      // keep: mail
      emailVerified: false,
      // /keep
    },
  })
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
    ['User', 'findUnique'],
    [undefined, '$queryRaw'],
    [undefined, '$executeRaw'],
    [undefined, '$executeRaw'],
    [undefined, '$executeRaw'],
    [undefined, '$executeRaw'],
    [undefined, '$executeRaw'],
  ])
})

test('a password hashed at an older cost is hashed anew when its owner signs in, and at no other time', async () => {
  const { database } = opened.resources
  const old = await createPasswordHasher({ memoryKiB: 8, passes: 1, parallelism: 1 }).hash(
    password,
    '198.51.100.1',
  )
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
  const { 'session-80': session } = Object.fromEntries(
    (await signIn()).cookies.map(({ name, value }) => [name, value]),
  )
  const overlapping = post(slow, 'sign-in', { email, password })
  await verified.promise
  const change = await app.inject({
    method: 'PUT',
    url: '/api/accounts/password',
    payload: { current: password, next: 'another horse' },
    cookies: { 'session-80': session! },
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

test('a client that calls every request JSON can sign out, and end its other sessions', async () => {
  const cookies = Object.fromEntries((await signIn()).cookies.map(({ name, value }) => [name, value]))
  const headers = { 'content-type': 'application/json' }
  for (const [method, path] of [
    ['DELETE', 'sessions'],
    ['POST', 'sign-out'],
  ] as const) {
    const { statusCode } = await app.inject({ method, url: `/api/accounts/${path}`, headers, cookies })
    expect([path, statusCode]).toEqual([path, 204])
  }
})
