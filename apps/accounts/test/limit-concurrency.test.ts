import { expect, test } from 'vitest'
import { limitConcurrency } from '../src/domain/limit-concurrency.ts'

const refuse = () => new Error('full')

test('never more tasks run than may, and they run in the order they came', async () => {
  const run = limitConcurrency({ maxRunning: 2, maxWaiting: 10, refuse })
  const started: number[] = []
  let running = 0
  let most = 0
  const task = async (n: number) => {
    started.push(n)
    most = Math.max(most, (running += 1))
    await Promise.resolve()
    running -= 1
    return n
  }
  const all = Array.from({ length: 12 }, (_, n) => run(() => task(n)))
  expect(await Promise.all(all)).toEqual(started)
  expect(most).toBe(2)
})

test('a task that fails gives its place on', async () => {
  const run = limitConcurrency({ maxRunning: 1, maxWaiting: 1, refuse })
  const failing = run(() => Promise.reject(new Error('broken')))
  const next = run(async () => 'done')
  await expect(run(async () => 'too many')).rejects.toThrow('full')
  await expect(failing).rejects.toThrow('broken')
  await expect(next).resolves.toBe('done')
  await expect(run(async () => 'again')).resolves.toBe('again')
})
