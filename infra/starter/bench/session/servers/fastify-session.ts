import cookie from '@fastify/cookie'
import session, { type FastifySessionOptions, type SessionStore } from '@fastify/session'
import { RedisStore } from 'connect-redis'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { tenValues } from '../ten-values.ts'

// @fastify/session as its README shows it (LEAN unset), or with the two options that avoid most writes (LEAN=1).
declare module 'fastify' {
  interface Session extends Record<string, unknown> {}
}

const maxAge = 1_800_000
const lean: Partial<FastifySessionOptions> = { rolling: false, saveUninitialized: false }

/** A minimal store on ioredis. */
function ioredisStore(redis: Redis): SessionStore {
  return {
    get: (id, done) =>
      void redis.get(`sess:${id}`).then((text) => done(null, text == null ? null : JSON.parse(text)), done),
    set: (id, value, done) =>
      void redis.set(`sess:${id}`, JSON.stringify(value), 'PX', maxAge).then(() => done(), done),
    destroy: (id, done) => void redis.del(`sess:${id}`).then(() => done(), done),
  }
}

async function connectRedisStore(): Promise<SessionStore> {
  const client = await createClient({ url: process.env.REDIS_URL! }).connect()
  return new RedisStore({ client, ttl: maxAge / 1_000 }) as unknown as SessionStore
}

const app = Fastify()
await app.register(cookie)
await app.register(session, {
  secret: 'a secret of at least thirty-two characters',
  cookie: { secure: false, maxAge },
  store: process.env.CONNECT_REDIS
    ? await connectRedisStore()
    : ioredisStore(new Redis(process.env.REDIS_URL!)),
  ...(process.env.LEAN ? lean : {}),
})

app.post('/sign-in', async (request) => {
  await request.session.regenerate()
  Object.assign(request.session, { user: 'ada', ...tenValues })
  return { user: 'ada' }
})

app.get('/public', () => ({ user: null }))

app.get('/read', (request, reply) => {
  const { user, value3 } = request.session as Record<string, unknown>
  return user == null ? reply.code(401).send() : { user, value: value3 }
})

app.post('/write', (request, reply) => {
  const session = request.session as Record<string, unknown>
  if (session['user'] == null) return reply.code(401).send()
  session['written'] = String(Date.now())
  return { user: session['user'] }
})

await app.listen({ port: Number(process.env.PORT) })
