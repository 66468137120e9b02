import { Agent } from 'node:http'
import { setInterval, setTimeout } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { ask, startFixture, type Fixture } from './start-fixture.ts'

const LAG_MS = 150

/**
 * Runs a load balancer with keep-alive connections in front of two processes. It needs `LAG_MS` to see which are ready.
 * Stops one of the two under load, and counts the requests that failed.
 */
async function stopUnderLoad(start: () => Promise<Fixture>): Promise<{ sent: number; failed: number }> {
  const [stopping, staying] = await Promise.all([start(), start()])
  const agent = new Agent({ keepAlive: true })
  const live = new Set([stopping, staying])
  const over = new AbortController()
  let sent = 0
  let failed = 0

  const isFine = (fixture: Fixture, path: string): Promise<boolean> =>
    ask(fixture, path, { agent }).then(
      ({ status }) => status === 200,
      () => false,
    )

  async function watch(fixture: Fixture): Promise<void> {
    for await (const _ of setInterval(50)) {
      if (over.signal.aborted) return
      if (await isFine(fixture, '/readyz')) continue
      await setTimeout(LAG_MS)
      live.delete(fixture)
      return
    }
  }

  async function load(): Promise<void> {
    let turn = 0
    for await (const _ of setInterval(4)) {
      if (over.signal.aborted) return
      const fixture = [...live][turn++ % live.size]!
      sent++
      if (!(await isFine(fixture, '/work'))) failed++
    }
  }

  const running = [watch(stopping), watch(staying), load(), load(), load(), load()]
  await pollUntil('there is load', () => Object.keys(agent.freeSockets).length === 2)
  stopping.kill('SIGTERM')
  await stopping.exited
  await pollUntil('the balancer knows', () => live.size === 1)
  over.abort()
  await Promise.all(running)
  agent.destroy()
  return { sent, failed }
}

test('behind a load balancer, a drain longer than its lag loses no request', async () => {
  const { sent, failed } = await stopUnderLoad(() => startFixture('server.ts', { DRAIN_MS: '500' }))

  expect(failed).toBe(0)
  expect(sent).toBeGreaterThan(100)
})

test.each([
  ['without a drain', () => startFixture('server.ts', { DRAIN_MS: '0' })],
  ['without a handler', () => startFixture('careless/server.ts')],
  ['closing at once', () => startFixture('careless/server.ts', { ON_SIGTERM: 'close at once' })],
])('behind a balancer, %s, requests are lost', async (_how, start) => {
  expect((await stopUnderLoad(start)).failed).toBeGreaterThan(0)
})
