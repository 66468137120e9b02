import type { Service } from '@repo/service'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp, type OpenApp } from './open-app.ts'

let opened: OpenApp
let app: Service

beforeAll(async () => {
  opened = await openApp()
  app = opened.app
})
afterAll(() => opened[Symbol.asyncDispose]())

const signUp = (payload: unknown) =>
  app.inject({
    method: 'POST',
    url: '/api/accounts/sign-up',
    payload: payload as object,
    headers: { 'content-type': 'application/json' },
  })

test('an email is kept trimmed and in lower case, a password only as its hash', async () => {
  const answer = await signUp({
    email: '  Grace.Hopper+cobol@Example.COM ',
    password: 'correct horse',
    isAdmin: true,
  })
  expect(answer.statusCode).toBe(201)
  expect(answer.json()).toEqual({ user: { id: expect.any(String), email: 'grace.hopper+cobol@example.com' } })
  expect(await opened.resources.database.user.findMany()).toEqual([
    {
      id: answer.json().user.id,
      email: 'grace.hopper+cobol@example.com',
      passwordHash: expect.stringMatching(/^\$argon2id\$/),
      createdAt: expect.any(Date),
    },
  ])
})

test.each([
  'ada',
  'ada@',
  '@example.com',
  'ada@example.com, eve@example.com',
  'ada lovelace@example.com',
  'ada@exam_ple.com',
  'ada@-example.com',
  'ada\0@example.com',
  'ädä@example.com',
  `${'a'.repeat(250)}@example.com`,
])('%j is no email', async (email) => {
  const answer = await signUp({ email, password: 'correct horse' })
  expect(answer.statusCode).toBe(400)
  expect(answer.json()).toMatchObject({ status: 400, code: 'ACCOUNT_EMAIL_INVALID' })
})

test.each([
  ['too short', { email: 'a@example.com', password: '1234567' }, '#/password'],
  ['too long', { email: 'a@example.com', password: 'x'.repeat(257) }, '#/password'],
  ['missing', { email: 'a@example.com' }, '#/password'],
  ['no text', { email: 'a@example.com', password: 12_345_678 }, '#/password'],
  ['no text', { email: ['a@example.com'], password: 'correct horse' }, '#/email'],
  ['endless', { email: ' '.repeat(100_000), password: 'correct horse' }, '#/email'],
])('what is %s is refused, and where', async (_, payload, pointer) => {
  const answer = await signUp(payload)
  expect(answer.statusCode).toBe(400)
  expect(answer.json()).toMatchObject({ code: 'REQUEST_INVALID', errors: [{ pointer }] })
})

test.each(['', '{', '[]', 'null', '"a"'])('the body %j is refused', async (body) => {
  expect((await signUp(body)).statusCode).toBe(400)
})

test('a password may be anything of 8 to 256 characters, and a character is a code point', async () => {
  const key = '\u{1f511}'
  const passwords = [key.repeat(8), key.repeat(256), '        ', '\0\0\0\0\0\0\0\0', `${'\ud800'.repeat(8)}`]
  for (const [n, password] of passwords.entries()) {
    const credentials = { email: `any${n}@example.com`, password }
    expect((await signUp(credentials)).statusCode).toBe(201)
    const signIn = { method: 'POST', url: '/api/accounts/sign-in', payload: credentials } as const
    expect((await app.inject(signIn)).statusCode).toBe(200)
  }
  expect((await signUp({ email: 'short@example.com', password: key.repeat(7) })).statusCode).toBe(400)
})

test('who is signed in and has no account any more is told so', async () => {
  const answer = await signUp({ email: 'gone@example.com', password: 'correct horse' })
  const cookies = Object.fromEntries(answer.cookies.map(({ name, value }) => [name, value]))
  await opened.resources.database.user.delete({ where: { email: 'gone@example.com' } })
  const me = await app.inject({ url: '/api/accounts/me', cookies })
  expect(me.statusCode).toBe(401)
  expect(me.json()).toMatchObject({ code: 'ACCOUNT_GONE' })
})
