import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { startFixture } from './start-fixture.ts'

test('a client that sends CONNECT and resets its connection does not stop the process', async () => {
  const fixture = await startFixture('server.ts')
  for (let i = 0; i < 20; i++) {
    const socket = connect(fixture.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n')
    // With and without reading the answer, so that the reset arrives during a read and during a write.
    if (i % 2) await once(socket, 'data')
    socket.resetAndDestroy()
  }
  const answer = await fetch(`${fixture.url}/livez`)
  expect(answer.status).toBe(200)
  expect(fixture.isRunning).toBe(true)
})
