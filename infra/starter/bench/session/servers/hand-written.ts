import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import Fastify, { type FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import { tenValues } from '../ten-values.ts'

// What a careful developer writes by hand: a signed cookie and one GETEX. The expiry slides; there is no other guarantee.
const secret = 'a secret of at least thirty-two characters'
const redis = new Redis(process.env.REDIS_URL!, { enableAutoPipelining: false })
const app = Fastify()

const sign = (id: string): string => createHmac('sha256', secret).update(id).digest('base64url')

function findId({ headers }: FastifyRequest): string | undefined {
  const [, id, signature] = /(?:^|; )session=([\w-]+)\.([\w-]+)/.exec(headers.cookie ?? '') ?? []
  if (id == null || signature == null) return undefined
  const expected = Buffer.from(sign(id))
  const given = Buffer.from(signature)
  return given.length === expected.length && timingSafeEqual(given, expected) ? id : undefined
}

app.post('/sign-in', async (_, reply) => {
  const id = randomBytes(24).toString('base64url')
  await redis.set(`hand:${id}`, JSON.stringify({ user: 'ada', ...tenValues }), 'PX', 1_800_000)
  reply.header('set-cookie', `session=${id}.${sign(id)}; Path=/; HttpOnly; SameSite=Lax`)
  return { user: 'ada' }
})

app.get('/public', () => ({ user: null }))

app.get('/read', async (request, reply) => {
  const id = findId(request)
  const record = id == null ? null : await redis.getex(`hand:${id}`, 'PX', 1_800_000)
  if (record == null) return reply.code(401).send()
  const { user, value3 } = JSON.parse(record)
  return { user, value: value3 }
})

app.post('/write', async (request, reply) => {
  const id = findId(request)
  const record = id == null ? null : await redis.getex(`hand:${id}`, 'PX', 1_800_000)
  if (record == null) return reply.code(401).send()
  const session = JSON.parse(record)
  session.written = String(Date.now())
  await redis.set(`hand:${id}`, JSON.stringify(session), 'PX', 1_800_000)
  return { user: session.user }
})

await app.listen({ port: Number(process.env.PORT) })
