import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { guardStore } from '../src/guard.ts'
import type { SessionStore } from '../src/store.ts'

const ECHO = `require('node:worker_threads').parentPort.on('message', function (m) { this.postMessage(m) })`

test('an answer that came while the process itself was held up is not late', async () => {
  const elsewhere = new Worker(ECHO, { eval: true })
  try {
    await once(elsewhere, 'online')
    const load = async (key: string): Promise<string> => {
      elsewhere.postMessage(key)
      return String((await once(elsewhere, 'message'))[0])
    }
    const store = guardStore({ load } as unknown as SessionStore, { deadlineMs: 50 })
    // From here the event loop goes to its timers first, and only then to what has arrived.
    await new Promise((resolve) => setImmediate(resolve))
    const answer = store.load('key', 1000)
    holdUp(200)
    await expect(answer).resolves.toBe('key')
  } finally {
    await elsewhere.terminate()
  }
})

function holdUp(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
