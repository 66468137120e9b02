import { expectLinear } from '@repo/testing/expect-linear'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { createService } from '../src/index.ts'
import { testEnv } from './test-env.ts'

const HEADERS = [
  'accept connection content-type cookie expect forwarded host if-none-match origin range sec-fetch-site traceparent',
  'user-agent x-forwarded-for x-forwarded-host x-forwarded-proto x-request-id',
].flatMap((names) => names.split(' '))

const app = createService({ name: 'service', env: { ...testEnv, TRUST_PROXY: ['127.0.0.1'] } })
const Text = Type.Object({
  text: Type.Optional(Type.String({ maxLength: 1000 })),
  n: Type.Optional(Type.Integer()),
})
app.post(
  '/:text',
  { config: { access: 'public' }, schema: { querystring: Text, params: Text, body: Text } },
  async ({ ip, ips, network, host, protocol, trace }) => ({ ip, ips, network, host, protocol, trace }),
)

const post = (path: string, headers: Record<string, string>, payload: object) =>
  app.inject({
    method: 'POST',
    url: path,
    headers: { 'content-type': 'application/json', ...headers },
    payload,
  })

test('the route that the others ask answers', async () => {
  expect((await post('/a?text=a&n=1', {}, { text: 'a', n: 1 })).statusCode).toBe(200)
})

// One after the other: if one header is refused, the others are not read.
test.each(HEADERS)('the work of a request grows with its header %s, and not faster', async (name) => {
  await expectLinear((text) => post('/a', { [name]: text }, {}), { maxLength: 16 * 1024 })
})

test.each<[string, (text: string) => unknown]>([
  ['path', (text) => post(`/${text}`, {}, {})],
  ['encoded path', (text) => post(`/${encodeURIComponent(text.toWellFormed())}`, {}, {})],
  ['path of many parts', (text) => post(`/${text.replaceAll(/./gsu, '/a')}`, {}, {})],
  ['query', (text) => post(`/a?${text}`, {}, {})],
  ['query parameter', (text) => post(`/a?n=${encodeURIComponent(text.toWellFormed())}`, {}, {})],
  ['query of many parameters', (text) => post(`/a?${text.replaceAll(/./gsu, '&n=1')}`, {}, {})],
  ['body', (text) => post('/a', {}, { text, n: text })],
  ['body of many names', (text) => post('/a', {}, Object.fromEntries(Array.from(text, (_, n) => [n, n])))],
])('the work of a request grows with its %s, and not faster', async (_, work) => {
  await expectLinear(work, { maxLength: 16 * 1024 })
})
