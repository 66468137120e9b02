import { Value } from 'typebox/value'
import { expect, test } from 'vitest'
import { sessionEnv } from '../src/session-env.ts'

test.each([
  'redis://127.0.0.1:6379',
  'rediss://name:secret@sessions.example/2',
  'redis+cluster://a:7000,b:7000,c:7000',
  'redis+sentinel://a:26379,b:26379/name-of-the-master',
  // keep: memcached
  'memcached://127.0.0.1:11211',
  // /keep
  'postgres://postgres@127.0.0.1:5432/postgres',
])('%s may be a session store', (url) => {
  expect(Value.Check(sessionEnv.SESSION_STORE_URL, url)).toBe(true)
})

test.each(['', 'redis', 'sessions.example:6379', 'redis://'])('"%s" is refused at the boot', (url) => {
  expect(Value.Check(sessionEnv.SESSION_STORE_URL, url)).toBe(false)
})
