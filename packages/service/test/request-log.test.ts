import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { startFixture } from './start-fixture.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'

test('a request is one line with its id, its trace and how it went, and no secret', async () => {
  const service = await startFixture('server.ts')
  const answer = await fetch(`${service.url}/work?ms=1&token=hunter2`, {
    method: 'POST',
    body: JSON.stringify({ password: 'hunter2' }),
    headers: {
      authorization: 'Bearer hunter2',
      'content-type': 'application/json',
      cookie: 'session=hunter2',
      traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
      'x-request-id': 'from-the-balancer-1',
    },
  })
  await answer.text()
  await pollUntil('it is logged', () => service.log().some(({ path }) => path === '/work'))

  expect(answer.headers.get('x-request-id')).toBe('from-the-balancer-1')
  expect(service.log().filter(({ path }) => path === '/work')).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      service: 'fixture',
      process: 'fixture.1',
      request_id: 'from-the-balancer-1',
      trace_id: TRACE_ID,
      span_id: expect.stringMatching(/^[\da-f]{16}$/),
      method: 'POST',
      path: '/work',
      route: '/work',
      status: 200,
      durationMs: expect.any(Number),
      client: '127.0.0.1',
      msg: 'request',
    },
  ])
  expect(service.output()).not.toContain('hunter2')
})

test('an error is logged with its stack, and the client is told only its id', async () => {
  const service = await startFixture('server.ts')
  const answer = await fetch(`${service.url}/accident`)
  const problem = await answer.json()
  await pollUntil('it is logged', () => service.log().some(({ path }) => path === '/accident'))
  const lines = service.log().filter(({ request_id }) => request_id === problem.requestId)

  expect(lines).toMatchObject([
    {
      level: 'error',
      msg: 'request failed',
      err: { type: 'Error', code: 'OUTER', cause: { message: 'the inner cause' } },
    },
    { level: 'error', msg: 'request', status: 500, problem: 'INTERNAL_ERROR' },
  ])
  expect(JSON.stringify(lines)).toContain('fixtures/server.ts')
  expect(JSON.stringify(lines)).not.toContain('the row of somebody')
})

test('a request id that could do harm in a log is not used', async () => {
  const service = await startFixture('server.ts')

  for (const id of ['short', 'with spaces in it', `${'x'.repeat(200)}`, '{"level":"fatal"}']) {
    const answer = await fetch(`${service.url}/livez`, { headers: { 'x-request-id': id } })
    expect(answer.headers.get('x-request-id')).toMatch(/^[\da-f]{8}-[\da-f-]{27}$/)
  }
})

test('a client that goes away is logged as such', async () => {
  const service = await startFixture('server.ts')
  const gone = new AbortController()
  const answer = fetch(`${service.url}/people/ada/hang`, { signal: gone.signal }).catch(() => 'gone')
  await fetch(`${service.url}/work`)
  gone.abort()

  expect(await answer).toBe('gone')
  await pollUntil('it is logged', () =>
    service.log().some(({ msg }) => msg === 'request aborted by the client'),
  )
})
