import { test } from 'vitest'
import { expectAnswer } from '../src/backing-service.ts'
import { needs } from '../src/programs.ts'
import { startMemcached } from '../src/servers/start-memcached.ts'

test('a killed memcached is back on its port, and empty', needs('memcached'), async () => {
  await using memcached = (await startMemcached())!
  const port = Number(new URL(memcached.url).port)
  await expectAnswer(port, 'set gone 0 0 3\r\nyes', /^STORED/)
  await memcached.kill()
  await memcached.restart()
  await expectAnswer(port, 'get gone', /^END/)
})
