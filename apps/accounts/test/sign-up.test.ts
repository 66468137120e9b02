import type { Service } from '@repo/service'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cookiesOf, openApp, type OpenApp } from './open-app.ts'

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
  expect(answer.json()).toEqual({
    user: {
      id: expect.any(String),
      email: 'grace.hopper+cobol@example.com',
      // keep: mail
      emailVerified: false,
      // /keep
    },
  })
  // All other columns are null.
  const rows = await opened.resources.database.user.findMany()
  const filled = rows.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)),
  )
  expect(filled).toEqual([
    {
      id: answer.json().user.id,
      email: 'grace.hopper+cobol@example.com',
      roles: [],
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
  const passwords = [key.repeat(8), key.repeat(256), '       .', 'correct horse battery']
  for (const [n, password] of passwords.entries()) {
    const credentials = { email: `any${n}@example.com`, password }
    expect((await signUp(credentials)).statusCode).toBe(201)
    const signIn = { method: 'POST', url: '/api/accounts/sign-in', payload: credentials } as const
    expect((await app.inject(signIn)).statusCode).toBe(200)
  }
  expect((await signUp({ email: 'short@example.com', password: key.repeat(7) })).statusCode).toBe(400)
})

test.each([
  ['among the most common', 'password', 'PASSWORD_COMMON'],
  ['among the most common', '12345678', 'PASSWORD_COMMON'],
  ['among the most common, however it is typed', 'ILoveYou1', 'PASSWORD_COMMON'],
  ['common in other letters', '\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44', 'PASSWORD_COMMON'],
  ['blank', '        ', 'PASSWORD_COMMON'],
  ['blank', '\u200b\u00a0\t\n\u3000\0\u2060\ufeff', 'PASSWORD_COMMON'],
  ['the email', 'ada.lovelace@countess.example', 'PASSWORD_PERSONAL'],
  ['the email, and a little more', 'Ada.Lovelace@Countess.example1', 'PASSWORD_PERSONAL'],
  ['a part of the email', 'lovelace', 'PASSWORD_PERSONAL'],
  ['a part of the email, and a year', 'Lovelace2026', 'PASSWORD_PERSONAL'],
  ['a part of the email, again and again', 'adaadaada', 'PASSWORD_PERSONAL'],
  ['a part of the email, backwards', 'ecalevol!', 'PASSWORD_PERSONAL'],
  ['where the site is', 'localhost', 'PASSWORD_PERSONAL'],
])('a new password that is %s is refused, at sign-up and when it is changed: %j', async (_, next, code) => {
  const email = 'ada.lovelace@countess.example'
  const refused = await signUp({ email, password: next })
  expect([refused.statusCode, refused.json().code]).toEqual([400, code])

  const current = 'a fine old password'
  await opened.resources.database.user.deleteMany({ where: { email } })
  const cookies = cookiesOf(await signUp({ email, password: current }))
  const change = {
    method: 'PUT',
    url: '/api/accounts/password',
    cookies,
    payload: { current, next },
  } as const
  expect((await app.inject(change)).json()).toMatchObject({ status: 400, code })
})

test('a password that is refused today still lets in who has it', async () => {
  const { database, passwords } = opened.resources
  const old = { email: 'old@example.com', password: 'password' }
  await database.user.create({
    data: { email: old.email, passwordHash: await passwords.hash(old.password, '198.51.100.1') },
  })
  const signIn = { method: 'POST', url: '/api/accounts/sign-in', payload: old } as const
  expect((await app.inject(signIn)).statusCode).toBe(200)
})

test.each(['sign-up', 'sign-in'])(
  '%s takes no password that UTF-8 cannot hold: all would be one',
  async (route) => {
    const url = `/api/accounts/${route}`
    const headers = { 'content-type': 'application/json' }
    const half = JSON.stringify({ email: 'half@example.com', password: '\ud800'.repeat(8) })
    const bytes = Buffer.from(
      '{"email":"half@example.com","password":"\xff\xff\xff\xff\xff\xff\xff\xff"}',
      'latin1',
    )
    for (const payload of [half, bytes]) {
      const answer = await app.inject({ method: 'POST', url, headers, payload })
      expect(answer.json()).toMatchObject({ status: 400, code: 'BODY_MALFORMED' })
    }
  },
)

test('who is signed in and has no account any more is told so', async () => {
  const answer = await signUp({ email: 'gone@example.com', password: 'correct horse' })
  const cookies = cookiesOf(answer)
  await opened.resources.database.user.delete({ where: { email: 'gone@example.com' } })
  const me = await app.inject({ url: '/api/accounts/me', cookies })
  expect(me.statusCode).toBe(401)
  expect(me.json()).toMatchObject({ code: 'ACCOUNT_GONE' })
})
