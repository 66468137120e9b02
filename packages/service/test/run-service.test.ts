import { Agent } from 'node:http'
import { connect } from 'node:net'
import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { ask, startFixture, type Fixture } from './start-fixture.ts'

const isStopping = (fixture: Fixture): Promise<void> =>
  pollUntil('the process has noticed the signal', () => fixture.log().some(({ msg }) => msg === 'stopping'))

test('requests in flight are answered before the resources close, and the process exits with 0', async () => {
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

test('a stopping process is not ready, still serves, and closes each connection after its answer', async () => {
  const service = await startFixture('server.ts', { DRAIN_MS: '600' })
  const agent = new Agent({ keepAlive: true })
  expect(await ask(service, '/work', { agent })).toMatchObject({ connection: 'keep-alive' })

  service.kill('SIGTERM')
  await isStopping(service)

  const readyz = await ask(service, '/readyz')
  expect(readyz.status).toBe(503)
  expect(JSON.parse(readyz.body)).toMatchObject({ code: 'NOT_READY', isDraining: true })
  expect(await ask(service, '/livez')).toMatchObject({ status: 200 })
  // Over the connection from before the signal, and over new ones.
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

test('after the deadline it says what was open, by route, and exits with 1', async () => {
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

test('connections without any request do not delay it', async () => {
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

test('after an uncaught exception the process has logged it, and exited with 1', async () => {
  const service = await startFixture('server.ts')
  await ask(service, '/throw').catch(() => {})

  expect(await service.exited).toEqual({ code: 1, signal: null })
  const err = { message: 'thrown where nobody catches' }
  expect(service.log().at(-1)).toMatchObject({ level: 'fatal', msg: 'uncaught exception', err })
})

test('a rejected promise that nobody awaits is logged, and the process keeps serving', async () => {
  const service = await startFixture('server.ts')
  const answers = [await ask(service, '/reject'), await ask(service, '/work')]

  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  const [line] = service.log().filter(({ level }) => level === 'error')
  const msg = 'unhandled rejection: a promise that nobody awaited'
  expect(line).toMatchObject({ msg, err: { message: 'rejected where nobody catches' } })
})

test('the log line "listening" contains the port', async () => {
  const service = await startFixture('server.ts')

  expect(service.log()[0]).toMatchObject({
    level: 'info',
    msg: 'listening',
    port: service.port,
    process: 'fixture.1',
  })
})
