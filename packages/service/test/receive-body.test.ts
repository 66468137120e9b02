import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createService } from '../src/index.ts'
import { sendRaw } from './send-raw.ts'
import { testEnv } from './test-env.ts'

const app = createService({ name: 'arrival', env: testEnv })
for (const [path, receiveWithinMs] of [
  ['/hurried', 200],
  ['/patient', Infinity],
] as const) {
  app.post(path, { config: { access: 'public', receiveWithinMs } }, async ({ body }) => body)
}

beforeAll(() => app.listen({ port: 0, host: '127.0.0.1' }))
afterAll(() => app.close())

/** A body that sends one byte every 50 ms, for twice as long as the hurried route waits. */
async function* trickle(path: string) {
  yield `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n`
  for (const byte of '"12345678"') {
    await sleep(50)
    yield byte
  }
}

test('a body that never pauses, and takes too long as a whole, is a 408 on the route that says so', async () => {
  const { port } = app.server.address() as AddressInfo
  const answers = await Promise.all(['/hurried', '/patient'].map((path) => sendRaw(port, trickle(path))))
  expect(answers.map(({ status }) => status)).toEqual([408, 200])
  expect(JSON.parse(answers[0]!.body)).toMatchObject({ code: 'REQUEST_TIMEOUT' })
  expect(answers[1]!.body).toBe('12345678')
})

test('a client that keeps on sending still reads that its body is too large, every time', async () => {
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
