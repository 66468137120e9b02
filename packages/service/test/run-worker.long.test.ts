import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { startFixture } from './start-fixture.ts'

test('a worker answers the probes', async () => {
  const worker = await startFixture('worker.ts', { JOB_MS: '0' })

  expect(await (await fetch(`${worker.url}/readyz`)).json()).toEqual({ status: 'ok', checks: { jobs: 'ok' } })
  expect((await fetch(`${worker.url}/livez`)).status).toBe(200)
  expect((await fetch(`${worker.url}/metrics`)).status).toBe(200)
})

test('a worker whose jobs do not run is not ready', async () => {
  const worker = await startFixture('worker.ts', { JOB_MS: '0', IS_STUCK: '1' }, { waits: false })
  await pollUntil('it listens', async () => (await fetch(`${worker.url}/livez`)).ok)

  const answer = await fetch(`${worker.url}/readyz`)
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ checks: { jobs: 'failed' } })
})

test('the metrics of a worker say how many jobs wait, and omit the number when it is unknown', async () => {
  const [worker, stuck] = await Promise.all([
    startFixture('worker.ts', { JOB_MS: '0' }),
    startFixture('worker.ts', { JOB_MS: '0', IS_STUCK: '1' }, { waits: false }),
  ])
  await pollUntil('it listens', async () => (await fetch(`${stuck.url}/livez`)).ok)

  expect(await (await fetch(`${worker.url}/metrics`)).text()).toMatch(
    /^nonstick_queue_waiting\{worker="fixture-worker"\} 7$/m,
  )
  const metrics = await (await fetch(`${stuck.url}/metrics`)).text()
  expect(metrics).toContain('process_cpu_seconds_total')
  expect(metrics).not.toMatch(/^nonstick_queue_waiting\{/m)
})

test('a stopping worker finishes its job, is alive and not ready meanwhile, and exits with 0', async () => {
  const worker = await startFixture('worker.ts', { JOB_MS: '800' })

  worker.kill('SIGTERM')
  await pollUntil('it is not ready', async () => (await fetch(`${worker.url}/readyz`)).status === 503)
  expect((await fetch(`${worker.url}/livez`)).status).toBe(200)
  worker.kill('SIGTERM')

  expect(await worker.exited).toEqual({ code: 0, signal: null })
  const said = worker.log().map(({ msg }) => msg)
  expect(said.indexOf('job finished')).toBeGreaterThan(said.indexOf('stopping'))
})

test('a worker whose job takes longer than the deadline exits with 1', async () => {
  const worker = await startFixture('worker.ts', { JOB_MS: '60000', SHUTDOWN_DEADLINE_MS: '200' })

  worker.kill('SIGTERM')

  expect(await worker.exited).toEqual({ code: 1, signal: null })
  expect(worker.log().at(-1)).toMatchObject({ level: 'fatal', step: 'draining' })
})

test('a worker that cannot start says why and exits with 1', async () => {
  const worker = await startFixture('worker.ts', { FAILS_TO_START: '1' }, { waits: false })

  expect(await worker.exited).toEqual({ code: 1, signal: null })
  expect(worker.log().at(-1)).toMatchObject({
    level: 'fatal',
    err: { message: 'the queue is not what it was' },
  })
})
