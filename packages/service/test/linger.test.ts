import { connect } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createService } from '../src/index.ts'
import { testEnv } from './test-env.ts'

test('a client that goes on sending still reads that its body is too large, every time', async () => {
  const app = createService({ name: 'linger', env: testEnv, bodyLimit: 1000 })
  app.post('/', { config: { access: 'public' } }, async () => 'read')
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }

  for (let round = 0; round < 20; round++) {
    const socket = connect(port, '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk))
    socket.on('error', (error) => (answer += error.message))
    socket.write(
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2000000000\r\n\r\n',
    )
    const sending = setInterval(() => socket.write(Buffer.alloc(256 * 1024)), 1)
    await once(socket, 'end').catch(() => {})
    clearInterval(sending)
    socket.destroy()
    expect(answer).toMatch(/^HTTP\/1.1 413 [^]*BODY_TOO_LARGE/)
    expect(answer).not.toContain('ECONNRESET')
  }
  await app.close()
})
