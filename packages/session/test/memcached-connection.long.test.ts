import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { needs } from '@repo/testing/programs'
import { startMemcached } from '@repo/testing/servers/start-memcached'
import { expect, test } from 'vitest'
import { openSessionStore } from '../src/index.ts'

test('a memcached that never says anything is left, however much it is asked, and another connection is made', async () => {
  const connections = new Set<Socket>()
  const mute = createServer((socket) => void connections.add(socket.on('error', () => {})))
  mute.listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const { port } = mute.address() as AddressInfo
  await using store = await openSessionStore(`memcached://127.0.0.1:${port}`, { missesToOpen: Infinity })
  const asking = setInterval(() => store.load('key', 1000).catch(() => {}), 50)
  try {
    await expect.poll(() => connections.size, { timeout: 5000 }).toBeGreaterThan(1)
  } finally {
    clearInterval(asking)
    for (const socket of connections) socket.destroy()
    mute.close()
  }
})

test('a memcached that does not even take the connection costs a boot no more than a second', async () => {
  // Its queue of two connections is full, so the kernel drops further ones, as when the host does not exist.
  const busy = new Worker(DEAF, { eval: true })
  const [port] = (await once(busy, 'message')) as [number]
  const waiting = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  try {
    await once(waiting[0]!, 'connect')
    const startedAt = performance.now()
    await using store = await openSessionStore(`memcached://127.0.0.1:${port}`)
    expect(performance.now() - startedAt).toBeLessThan(3000)
    await expect(store.check()).rejects.toMatchObject({ code: 'SESSION_STORE_UNAVAILABLE' })
  } finally {
    for (const socket of waiting) socket.destroy()
    await busy.terminate()
  }
})

const DEAF = `
  const server = require('node:net').createServer()
  server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:worker_threads').parentPort.postMessage(server.address().port)
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 30_000))
  })`

test('an address of IPv6 is one in its URL', needs('memcached'), async () => {
  await using server = (await startMemcached({ args: ['-l', '::1'] }))!
  await using store = await openSessionStore(`memcached://[::1]:${new URL(server.url).port}`)
  await store.check()
})
