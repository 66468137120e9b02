import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, test, vi } from 'vitest'
import { guardStore } from '../src/open-session-store.ts'
import type { SessionStore } from '../src/store.ts'

/** The part of a store that the guard needs. */
function storeThat(load: SessionStore['load']): SessionStore {
  return { load, check: async () => {} } as unknown as SessionStore
}

const silence = (): Promise<never> => new Promise(() => {})
const unavailable = { code: 'SESSION_STORE_UNAVAILABLE', statusCode: 503, headers: { 'retry-after': '1' } }

test('a store that is silent is a 503 at the deadline, and after eight of them at once', async () => {
  let calls = 0
  const guarded = guardStore(
    storeThat(() => ((calls += 1), silence())),
    { deadlineMs: 20, probeMs: 10_000 },
  )
  const answers = Array.from({ length: 8 }, () => guarded.load('key', 1))
  for (const answer of answers) await expect(answer).rejects.toMatchObject(unavailable)
  // The first probe is due at once.
  await expect(guarded.load('key', 1)).rejects.toMatchObject(unavailable)
  expect(calls).toBe(9)
  await expect(guarded.load('key', 1)).rejects.toMatchObject({ ...unavailable, cause: 'it has been silent' })
  expect(calls).toBe(9)
})

test('one answer, even a late one, closes the breaker', async () => {
  const answers: ((value: string) => void)[] = []
  const slow = guardStore(
    storeThat(() => new Promise((resolve) => answers.push(resolve))),
    { deadlineMs: 20, probeMs: 10_000 },
  )
  await Promise.allSettled(Array.from({ length: 8 }, () => slow.load('key', 1)))
  await expect(slow.load('key', 1)).rejects.toMatchObject({ cause: 'no answer within 20 ms' })
  await expect(slow.load('key', 1)).rejects.toMatchObject({ cause: 'it has been silent' })
  answers[0]!('late')
  await new Promise((resolve) => setImmediate(resolve))
  const next = slow.load('key', 1)
  answers.at(-1)!('in time')
  expect(await next).toBe('in time')
})

test('a store that refuses is answered at once and never opens the breaker', async () => {
  const full = guardStore(
    storeThat(() => Promise.reject(new Error('OOM at 10.1.2.3:6379'))),
    { missesToOpen: 2 },
  )
  for (let i = 0; i < 20; i += 1) {
    const error: Error = await full.load('key', 1).then(silence, (reason) => reason)
    expect(error).toMatchObject(unavailable)
    expect(error.message).not.toContain('10.1.2.3')
    expect((error.cause as Error).message).toContain('OOM')
  }
})

test('a refusal between two silences does not make anybody wait again', async () => {
  let calls = 0
  const flapping = guardStore(
    storeThat(() => ((calls += 1) % 2 ? silence() : Promise.reject(new Error('not connected')))),
    { deadlineMs: 10, missesToOpen: 3, probeMs: 10_000 },
  )
  for (let i = 0; i < 7; i += 1) await flapping.load('key', 1).catch(() => {})
  await expect(flapping.load('key', 1)).rejects.toMatchObject({ cause: 'it has been silent' })
})

test('so many requests may wait for the store at once, and the next one is answered at once', async () => {
  const guarded = guardStore(storeThat(silence), { deadlineMs: 30, capacity: 5, missesToOpen: 100 })
  const waiting = Array.from({ length: 5 }, () => guarded.load('key', 1))
  await expect(guarded.load('key', 1)).rejects.toMatchObject({ cause: 'too many requests in flight' })
  await expect(guarded.check()).rejects.toMatchObject({ cause: 'too many requests in flight' })
  await Promise.allSettled(waiting)
})

test('checks of a store that is silent are counted too, so they do not pile up', async () => {
  let checks = 0
  const store = { check: () => ((checks += 1), silence()) } as unknown as SessionStore
  const guarded = guardStore(store, { deadlineMs: 10, capacity: 5 })
  for (let i = 0; i < 20; i += 1) await guarded.check().catch(() => {})
  expect(checks).toBe(5)
})

test('a clock that is set back does not keep the breaker open', async () => {
  let isSilent = true
  const store = storeThat(() => (isSilent ? silence() : Promise.resolve('record')))
  const guarded = guardStore(store, { deadlineMs: 5, missesToOpen: 2, probeMs: 20 })
  for (let i = 0; i < 3; i += 1) await guarded.load('key', 1).catch(() => {})
  isSilent = false
  const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000)
  await expect.poll(() => guarded.load('key', 1).catch(() => 'refused'), { interval: 5 }).toBe('record')
  now.mockRestore()
})

test('a silent store is asked once at a time, however often a probe would be due', async () => {
  const endings: (() => void)[] = []
  const store = storeThat(
    () => new Promise((_, reject) => endings.push(() => reject(new Error('timed out')))),
  )
  const guarded = guardStore(store, { deadlineMs: 5, missesToOpen: 2, probeMs: 20 })
  const now = vi.spyOn(performance, 'now')
  const askAt = async (ms: number): Promise<number> => {
    now.mockReturnValue(ms)
    await guarded.load('key', 1).catch(() => {})
    return endings.length
  }
  try {
    for (const calls of [1, 2, 3, 3]) expect(await askAt(1000)).toBe(calls)
    expect(await askAt(1100)).toBe(3)
    endings.at(-1)!()
    await new Promise((resolve) => setImmediate(resolve))
    for (const calls of [4, 4]) expect(await askAt(1150)).toBe(calls)
    expect(await askAt(1349)).toBe(4)
    // A probe that never ends does not block the next one for ever.
    expect(await askAt(1350)).toBe(5)
  } finally {
    now.mockRestore()
  }
})

const ECHO = `require('node:worker_threads').parentPort.on('message', function (m) { this.postMessage(m) })`

test('an answer that came while the process itself was held up is not late', async () => {
  const elsewhere = new Worker(ECHO, { eval: true })
  try {
    await once(elsewhere, 'online')
    const load = async (key: string): Promise<string> => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window
      elsewhere.postMessage(key)
      return String((await once(elsewhere, 'message'))[0])
    }
    const store = guardStore({ load } as unknown as SessionStore, { deadlineMs: 50 })
    // After this the event loop runs its timers first, and only then reads its sockets.
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
