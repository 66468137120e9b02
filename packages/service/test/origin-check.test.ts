import { expect, test } from 'vitest'
import { createService } from '../src/index.ts'
import { testEnv } from './test-env.ts'

const app = createService({ name: 'origins', env: testEnv })
app.route({
  method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
  url: '/',
  config: { access: 'public' },
  handler: async () => 'done',
})

const ours = testEnv.PUBLIC_ORIGIN

test.each([
  ['a program, which says nothing', {}],
  ['our page', { origin: ours, 'sec-fetch-site': 'same-origin' }],
  ['our page in an old browser', { origin: ours }],
  [
    'our page, through a balancer that the browser takes for another site',
    { origin: ours, 'sec-fetch-site': 'cross-site' },
  ],
  [
    'a page of the very host that was asked',
    { origin: 'https://127.0.0.1', 'sec-fetch-site': 'same-origin' },
  ],
  ['the user, by typing', { 'sec-fetch-site': 'none' }],
])('%s may change something', async (_who, headers) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    expect((await app.inject({ method, url: '/', headers })).statusCode).toBe(200)
  }
})

test.each([
  ['another site', { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }],
  ['another site in an old browser', { origin: 'https://elsewhere.example' }],
  ['a neighbour under our domain', { origin: 'https://blog.example.com', 'sec-fetch-site': 'same-site' }],
  ['our host over plain http', { origin: 'http://example.com' }],
  ['our host on another port', { origin: 'https://example.com:8443' }],
  ['a host that begins like ours', { origin: 'https://example.com.elsewhere.example' }],
  ['a sandboxed frame', { origin: 'null' }],
  ['a page that hides its origin', { 'sec-fetch-site': 'cross-site' }],
])('%s may not, and may still read', async (_who, headers) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    const answer = await app.inject({ method, url: '/', headers })
    expect(answer.json()).toMatchObject({ status: 403, code: 'ORIGIN_REJECTED' })
  }
  expect((await app.inject({ url: '/', headers })).statusCode).toBe(200)
})

test('the check comes before the question whether there is such a route', async () => {
  const headers = { origin: 'https://elsewhere.example' }

  expect((await app.inject({ method: 'POST', url: '/nowhere', headers })).statusCode).toBe(403)
})
