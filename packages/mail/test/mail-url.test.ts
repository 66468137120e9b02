import { Value } from 'typebox/value'
import { expect, test } from 'vitest'
import { mailEnv, openMailer } from '../src/index.ts'
import { parseMailUrl } from '../src/mail-url.ts'

test.each([
  ['smtp://relay.example', { host: 'relay.example', port: 587, tls: 'required' }],
  ['smtp://relay.example:2525/', { host: 'relay.example', port: 2525, tls: 'required' }],
  ['smtps://relay.example', { host: 'relay.example', port: 465, tls: 'implicit' }],
  [
    'smtps://ada%40example.com:p%40ss%3Aw%2F@relay.example',
    {
      host: 'relay.example',
      port: 465,
      tls: 'implicit',
      login: { user: 'ada@example.com', pass: 'p@ss:w/' },
    },
  ],
  ['smtp://localhost:25', { host: 'localhost', port: 25, tls: 'offered' }],
  ['smtp://127.0.0.1', { host: '127.0.0.1', port: 587, tls: 'offered' }],
  ['smtp://[::1]:25', { host: '::1', port: 25, tls: 'offered' }],
  // Names that look like loopback are somebody's.
  ['smtp://localhost.example', { host: 'localhost.example', port: 587, tls: 'required' }],
  ['smtp://10.0.0.7:25?tls=off', { host: '10.0.0.7', port: 25, tls: 'off' }],
  ['smtps://127.0.0.1', { host: '127.0.0.1', port: 465, tls: 'implicit' }],
])('%s', (url, expected) => {
  expect(parseMailUrl(url)).toEqual(expected)
  expect(Value.Check(mailEnv.MAIL_URL, url)).toBe(true)
})

test.each([
  'hunter2',
  'http://ada:hunter2@relay.example',
  'smtp://',
  'smtp://ada:hunter2@relay.example:port',
  'smtp://ada:hunter2%@relay.example',
  'smtp://ada@relay.example',
  'smtp://:hunter2@relay.example',
  'smtp://ada:hunter2@relay.example/inbox',
  'smtp://ada:hunter2@relay.example#587',
  'smtp://ada:hunter2@relay.example?pool=true',
  'smtp://ada:hunter2@relay.example?tls=off',
  'smtps://relay.example?tls=off',
])('%s stops the boot, and no password is told', (url) => {
  const error = catchError(() => openMailer(url, { from: 'mail@example.com' }))
  expect(error).toMatchObject({ code: 'MAIL_URL_INVALID' })
  expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain('hunter2')
})

test.each(['mail@example.com', 'Example <mail@example.com>', '"Example, Inc." <mail@example.com>'])(
  '%s may be the sender',
  async (from) => {
    expect(Value.Check(mailEnv.MAIL_FROM, from)).toBe(true)
    await openMailer('smtp://localhost', { from })[Symbol.asyncDispose]()
  },
)

test.each([
  'Example',
  'Example <mail>',
  'a@example.com, b@example.com',
  'A <a@example.com>\r\nBcc: b@example.com',
])('%j is no sender, which stops the boot', (from) => {
  expect(catchError(() => openMailer('smtp://localhost', { from }))).toMatchObject({
    code: 'MAIL_FROM_INVALID',
  })
})

function catchError(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  return new Error('nothing was thrown')
}
