import { expect, test } from 'vitest'
import { openSessionStore } from '../src/index.ts'
import { parseHost, parseRedisUrl } from '../src/store-url.ts'

const DEFAULTS = { isTls: false, username: '', password: '', master: '', database: 0 }
const node = (host: string, port: number) => ({ host, port })

test.each([
  ['redis://localhost', { kind: 'alone', hosts: [node('localhost', 6379)] }],
  ['redis://[::1]', { kind: 'alone', hosts: [node('::1', 6379)] }],
  ['rediss://[fe80::1]:7000/3', { kind: 'alone', isTls: true, hosts: [node('fe80::1', 7000)], database: 3 }],
  ['redis://localhost/3/', { kind: 'alone', hosts: [node('localhost', 6379)], database: 3 }],
  ['redis://localhost/3?x=1', { kind: 'alone', hosts: [node('localhost', 6379)], database: 3 }],
  [
    'redis://ada:p%40ss%3Aw%2F@localhost',
    { kind: 'alone', hosts: [node('localhost', 6379)], username: 'ada', password: 'p@ss:w/' },
  ],
  // A password may contain colons that are not encoded.
  ['redis://:a:b:c@localhost', { kind: 'alone', hosts: [node('localhost', 6379)], password: 'a:b:c' }],
  ['redis://ada@localhost', { kind: 'alone', hosts: [node('localhost', 6379)], username: 'ada' }],
  [
    'redis+cluster://a:1,[::2]:2,c',
    { kind: 'cluster', hosts: [node('a', 1), node('::2', 2), node('c', 6379)] },
  ],
  [
    'rediss+sentinel://:s%20t@[::1],b:2/my%20master/5',
    {
      kind: 'sentinel',
      isTls: true,
      hosts: [node('::1', 26379), node('b', 2)],
      password: 's t',
      master: 'my master',
      database: 5,
    },
  ],
])('%s', (url, expected) => {
  expect(parseRedisUrl(url)).toEqual({ ...DEFAULTS, ...expected })
})

test.each([
  'redis://localhost/sessions',
  'redis://localhost/1/2',
  'redis://:hunter2%@localhost',
  'redis://:hunter2@localhost:port',
  'redis://:hunter2@[::1',
  'redis+sentinel://:hunter2@a:26379',
  // keep: memcached
  'memcached://localhost:port',
  'memcached://',
  // /keep
])('%s stops the boot, and no password is told', async (url) => {
  const error: Error = await openSessionStore(url).then(
    () => new Error('it was opened'),
    (reason) => reason,
  )
  expect(error).toMatchObject({ code: 'SESSION_STORE_URL_INVALID' })
  expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain('hunter2')
})

test('a host without a port has the default one', () => {
  expect(parseHost('sessions.example', 11211)).toEqual(node('sessions.example', 11211))
  expect(parseHost('[2001:db8::7]:9', 11211)).toEqual(node('2001:db8::7', 9))
})
