import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setInterval, setTimeout } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { startFixture, type Fixture } from './start-fixture.ts'

interface Answer {
  status: number
  connection: string | undefined
  body: string
}

/** One request, over a connection of `agent` if there is one. Rejects when the connection breaks. */
function ask(
  { port }: { port: number },
  path: string,
  { agent, method = 'GET' }: AskOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, path, method, agent: agent ?? false, host: '127.0.0.1' },
      async (response) => {
        let body = ''
        for await (const chunk of response) body += String(chunk)
        resolve({ status: response.statusCode!, connection: response.headers.connection, body })
      },
    )
    sent.on('error', reject).end()
  })
}

interface AskOptions {
  agent?: Agent
  method?: string
}

const isStopping = (fixture: Fixture): Promise<void> =>
  pollUntil('the process has noticed the signal', () => fixture.log().some(({ msg }) => msg === 'stopping'))

test('requests in flight are answered before the resources close, and the process ends with 0', async () => {
  const service = await startFixture('server.ts')
  const answers = [ask(service, '/work?ms=300'), ask(service, '/work?ms=400', { method: 'POST' })]
  await ask(service, '/work')

  service.kill('SIGTERM')

  expect(await Promise.all(answers)).toEqual([
    { status: 200, connection: 'close', body: `by ${service.pid}` },
    { status: 200, connection: 'close', body: `by ${service.pid}` },
  ])
  expect(await service.exited).toEqual({ code: 0, signal: null })
  expect(service.log().map(({ msg }) => msg)).toEqual(expect.arrayContaining(['resources closed', 'stopped']))
})

test('a stopping process is not ready, goes on serving, and ends each connection it answers on', async () => {
  const service = await startFixture('server.ts', { DRAIN_MS: '600' })
  const agent = new Agent({ keepAlive: true })
  expect(await ask(service, '/work', { agent })).toMatchObject({ connection: 'keep-alive' })

  service.kill('SIGTERM')
  await isStopping(service)

  const readyz = await ask(service, '/readyz')
  expect(readyz.status).toBe(503)
  expect(JSON.parse(readyz.body)).toMatchObject({ code: 'NOT_READY', isDraining: true })
  expect(await ask(service, '/livez')).toMatchObject({ status: 200 })
  // Over the connection of before the signal, and over new ones.
  expect(await ask(service, '/work', { agent })).toMatchObject({ status: 200, connection: 'close' })
  expect(await ask(service, '/work', { method: 'POST' })).toMatchObject({ status: 200, connection: 'close' })
  expect(await service.exited).toMatchObject({ code: 0 })
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s sent three times loses nothing', async (signal) => {
  const service = await startFixture('server.ts', { DRAIN_MS: '200' })
  const answer = ask(service, '/work?ms=500')
  await ask(service, '/work')

  service.kill(signal)
  await isStopping(service)
  service.kill(signal)
  service.kill('SIGTERM')

  expect(await answer).toMatchObject({ status: 200 })
  expect(await service.exited).toEqual({ code: 0, signal: null })
})

test('past the deadline it says what was open, by route, and ends with 1', async () => {
  const service = await startFixture('server.ts', { DRAIN_MS: '50', SHUTDOWN_DEADLINE_MS: '400' })
  const lost = ask(service, '/people/ada/hang').catch((error: Error) => error.message)
  await ask(service, '/work')

  service.kill('SIGTERM')

  expect(await service.exited).toEqual({ code: 1, signal: null })
  expect(await lost).toBe('socket hang up')
  const last = service.log().at(-1)
  expect(last).toMatchObject({ level: 'fatal', step: 'closing' })
  expect(JSON.stringify(last)).toMatch(/GET \/people\/:id\/hang since \d+ ms/)
  expect(JSON.stringify(last)).not.toContain('ada')
})

test('connections on which nothing was ever said do not hold it up', async () => {
  const service = await startFixture('server.ts')
  const silent = connect(service.port, '127.0.0.1')
  const half = connect(service.port, '127.0.0.1')
  half.write('GET /work HTTP/1.1\r\nhost: ')
  await ask(service, '/work')

  const before = performance.now()
  service.kill('SIGTERM')

  expect(await service.exited).toMatchObject({ code: 0 })
  expect(performance.now() - before).toBeLessThan(2000)
  silent.destroy()
  half.destroy()
})

/**
 * A balancer in front of two processes that needs `LAG_MS` to see who is ready, over kept-alive connections. One of
 * the two is stopped under load; counts the requests that failed.
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

const LAG_MS = 150

test('behind a balancer, a drain longer than its lag loses no request', async () => {
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

test('a port that is taken is one clear line and a failure', async () => {
  const first = await startFixture('server.ts')
  const second = await startFixture('server.ts', { PORT: `${first.port}` }, { waits: false })

  expect(await second.exited).toMatchObject({ code: 1 })
  expect(second.log()).toMatchObject([
    {
      level: 'fatal',
      msg: `port ${first.port} is taken: end the process that listens there, or set PORT to a free one`,
    },
  ])
  expect(second.output().split('\n')).toHaveLength(1)
})

test('a deadline that leaves no time for the drain is refused at the start', async () => {
  const service = await startFixture(
    'server.ts',
    { DRAIN_MS: '500', SHUTDOWN_DEADLINE_MS: '500' },
    { waits: false },
  )

  expect(await service.exited).toMatchObject({ code: 78 })
  expect(service.output()).toContain('SHUTDOWN_DEADLINE_MS is not longer than DRAIN_MS')
})

test('after an exception that nobody catches the process has said why, and ended with 1', async () => {
  const service = await startFixture('server.ts')
  await ask(service, '/throw').catch(() => {})

  expect(await service.exited).toEqual({ code: 1, signal: null })
  const err = { message: 'thrown where nobody catches' }
  expect(service.log().at(-1)).toMatchObject({ level: 'fatal', msg: 'uncaught exception', err })
})

test('a promise that nobody awaits is logged when it is rejected, and the process serves on', async () => {
  const service = await startFixture('server.ts')
  const answers = [await ask(service, '/reject'), await ask(service, '/work')]

  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  const [line] = service.log().filter(({ level }) => level === 'error')
  const msg = 'unhandled rejection: a promise that nobody awaited'
  expect(line).toMatchObject({ msg, err: { message: 'rejected where nobody catches' } })
})

test('the line "listening" tells the port', async () => {
  const service = await startFixture('server.ts')

  expect(service.log()[0]).toMatchObject({
    level: 'info',
    msg: 'listening',
    port: service.port,
    process: 'fixture.1',
  })
})
