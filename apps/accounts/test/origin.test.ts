import { pollUntil } from '@repo/testing'
import Fastify from 'fastify'
import { expect, test } from 'vitest'
import { noteOrigins } from '../src/routes/origin.ts'

test('a request that is refused before it has an origin is answered, and logs no failure of ours', async () => {
  const lines: { msg: string }[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(JSON.parse(line)) } } })
  app.addHook('onRequest', async () => {
    throw Object.assign(new Error('signed out'), { statusCode: 401 })
  })
  noteOrigins(app)
  app.get('/', async () => '')

  expect((await app.inject('/')).statusCode).toBe(401)
  await pollUntil('the request is logged', () => lines.length === 3)
  await app.close()
  expect(lines.map(({ msg }) => msg)).toEqual(['incoming request', 'signed out', 'request completed'])
})
