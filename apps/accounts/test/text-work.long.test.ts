import { expectLinear, listTextFunctions } from '@repo/testing/expect-linear'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MAX_EMAIL_LENGTH, parseEmail } from '../src/domain/email.ts'
import { createTokens } from '../src/domain/mailed-link.ts'
import { assertSuitable, normalizePassword, PASSWORD_LENGTH } from '../src/domain/password.ts'
import { openApp, type OpenApp } from './open-app.ts'

const byName: Record<string, (text: string) => unknown> = {
  // NFKC takes quadratic time for a run of combining marks. The routes accept no longer password.
  assertSuitable: (text) =>
    assertSuitable(text.slice(0, PASSWORD_LENGTH.max), [text.slice(0, MAX_EMAIL_LENGTH)]),
  // keep: mail
  createTokens: (text) => createTokens(text)(text),
  // /keep
  normalizePassword: (text) => normalizePassword(text.slice(0, PASSWORD_LENGTH.max)),
  parseEmail,
}

let opened: OpenApp

beforeAll(async () => {
  opened = await openApp()
})
afterAll(() => opened[Symbol.asyncDispose]())

test.each(Object.entries(byName))('the work of %s grows with its text, and not faster', async (_, work) => {
  await expectLinear(work)
})

test('no function that takes a text is missing above', async () => {
  const found = await listTextFunctions(new URL('../src/domain/', import.meta.url))
  expect(found).toEqual(Object.keys(byName))
})

test.each<[string, (text: string) => object]>([
  ['cookie', (text) => ({ url: '/api/accounts/me', headers: { cookie: text } })],
  ['session', (text) => ({ url: '/api/accounts/me', headers: { cookie: `session-80=${text}` } })],
  [
    'password',
    (text) => ({
      method: 'POST',
      url: '/api/accounts/sign-in',
      payload: { email: 'a@b', password: text.padEnd(300, 'a') },
    }),
  ],
])('the work of a request grows with its %s, and not faster', async (_, request) => {
  await expectLinear((text) => opened.app.inject(request(text)), { maxLength: 16 * 1024 })
})
