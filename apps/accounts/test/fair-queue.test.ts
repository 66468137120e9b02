import { expect, test } from 'vitest'
import { createFairQueue, type Turn } from '../src/domain/fair-queue.ts'

const refuse = () => new Error('full')
const flow = (name: string, weight = 1): Turn => ({ flow: name, weight })

/** Tasks that record when they begin, and end one turn of the event loop later. */
function record(options: { maxRunning: number; maxWaiting: number }) {
  const run = createFairQueue({ ...options, refuse })
  const begun: string[] = []
  let running = 0
  let most = 0
  const bring = (turn: Turn, count = 1): Promise<unknown> =>
    Promise.allSettled(
      Array.from({ length: count }, () =>
        run(turn, async () => {
          begun.push(turn.flow)
          most = Math.max(most, (running += 1))
          await new Promise(setImmediate)
          running -= 1
        }),
      ),
    )
  return { bring, begun, most: () => most }
}

test('never more tasks run than may, and those of one flow run in the order they came', async () => {
  const run = createFairQueue({ maxRunning: 2, maxWaiting: 10, refuse })
  const begun: number[] = []
  let running = 0
  let most = 0
  const all = Array.from({ length: 12 }, (_, n) =>
    run(flow('a'), async () => {
      begun.push(n)
      most = Math.max(most, (running += 1))
      await Promise.resolve()
      running -= 1
      return n
    }),
  )
  expect(await Promise.all(all)).toEqual(begun)
  expect(most).toBe(2)
})

test('a task that fails gives its place on', async () => {
  const run = createFairQueue({ maxRunning: 1, maxWaiting: 1, refuse })
  const failing = run(flow('a'), () => Promise.reject(new Error('broken')))
  const next = run(flow('a'), async () => 'done')
  await expect(run(flow('a'), async () => 'too many')).rejects.toThrow('full')
  await expect(failing).rejects.toThrow('broken')
  await expect(next).resolves.toBe('done')
  await expect(run(flow('a'), async () => 'again')).resolves.toBe('again')
})

test('whoever comes to a room that one flow has filled is among the next, and that flow loses its last', async () => {
  const { bring, begun, most } = record({ maxRunning: 2, maxWaiting: 100 })
  const flood = bring(flow('flood'), 230)
  const others = Promise.all(['a', 'b', 'c'].map((name) => bring(flow(name))))
  const outcomes = (await flood) as PromiseSettledResult<void>[]
  await others

  expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(230 - 102 + 3)
  expect(begun.slice(0, 6)).toEqual(['flood', 'flood', 'flood', 'a', 'b', 'c'])
  expect(most()).toBe(2)
})

test('two who flood share the turns', async () => {
  const { bring, begun } = record({ maxRunning: 1, maxWaiting: 100 })
  await Promise.all([bring(flow('a'), 60), bring(flow('b'), 60)])
  const half = begun.slice(0, 60)
  expect(half.filter((name) => name === 'a').length).toBeGreaterThan(28)
  expect(half.filter((name) => name === 'b').length).toBeGreaterThan(28)
})

test('light tasks go before heavy ones that came earlier, and hold none of them up for ever', async () => {
  const { bring, begun } = record({ maxRunning: 1, maxWaiting: 100 })
  await Promise.all([bring(flow('heavy', 4), 20), bring(flow('light'), 20)])

  expect(begun.indexOf('light')).toBe(1)
  expect(begun.slice(0, 15).filter((name) => name === 'heavy').length).toBeGreaterThanOrEqual(3)
  expect(begun.slice(0, 15).filter((name) => name === 'light').length).toBeGreaterThanOrEqual(11)
})

test('a flow that was quiet has saved nothing up, and one that was busy owes nothing', async () => {
  const { bring, begun } = record({ maxRunning: 1, maxWaiting: 100 })
  await bring(flow('busy'), 50)
  begun.length = 0
  await Promise.all([bring(flow('busy'), 10), bring(flow('quiet'), 10)])
  expect(begun.slice(0, 10).filter((name) => name === 'busy').length).toBeGreaterThanOrEqual(4)
})
