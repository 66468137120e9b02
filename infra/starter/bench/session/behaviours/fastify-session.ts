import cookie, { Signer } from '@fastify/cookie'
import session, { type FastifySessionOptions, type SessionStore } from '@fastify/session'
import { RedisStore } from 'connect-redis'
import Fastify, { type FastifyRequest } from 'fastify'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { registerBehaviourRoutes } from '../../../../../packages/session/test/behaviours/behaviour-routes.ts'

// @fastify/session as its README shows it, with the routes that the behaviours use.
const { PORT, SESSION_STORE_URL, SESSION_SECRETS, SESSION_IDLE_MS, LEAN, CONNECT_REDIS } = process.env
const maxAge = Number(SESSION_IDLE_MS)
const secrets = SESSION_SECRETS!.split(',')
const lean: Partial<FastifySessionOptions> = { rolling: false, saveUninitialized: false }

/** A minimal store on ioredis. */
function openIoredisStore(): { store: SessionStore; check(): Promise<void> } {
  const redis = new Redis(SESSION_STORE_URL!)
  redis.on('error', () => {})
  return {
    store: {
      get: (id, done) =>
        void redis.get(`sess:${id}`).then((text) => done(null, text == null ? null : JSON.parse(text)), done),
      set: (id, value, done) =>
        void redis.set(`sess:${id}`, JSON.stringify(value), 'PX', maxAge).then(() => done(), done),
      destroy: (id, done) => void redis.del(`sess:${id}`).then(() => done(), done),
    },
    check: async () => void (await redis.ping()),
  }
}

async function openConnectRedisStore(): Promise<{ store: SessionStore; check(): Promise<void> }> {
  const client = createClient({ url: SESSION_STORE_URL! })
  client.on('error', () => {})
  await client.connect()
  const store = new RedisStore({ client, ttl: Math.ceil(maxAge / 1_000) })
  return { store: store as unknown as SessionStore, check: async () => void (await client.ping()) }
}

const { store, check } = CONNECT_REDIS ? await openConnectRedisStore() : openIoredisStore()
const app = Fastify({ forceCloseConnections: 'idle' })
await app.register(cookie)
await app.register(session, {
  secret: secrets,
  cookie: { secure: false, maxAge },
  store,
  ...(LEAN ? lean : {}),
})

const dataOf = (request: FastifyRequest) => request.session as unknown as Record<string, unknown>

registerBehaviourRoutes(app as unknown as Parameters<typeof registerBehaviourRoutes>[0], {
  async signIn(request, user) {
    const kept = Object.keys(request.session).filter((key) => key !== 'cookie')
    await request.session.regenerate(kept as never)
    dataOf(request)['user'] = user
  },
  signOut: (request) => request.session.destroy(),
  regenerate: (request) =>
    request.session.regenerate(Object.keys(request.session).filter((key) => key !== 'cookie') as never),
  async increment(request, key) {
    const count = Number(dataOf(request)[key] ?? 0) + 1
    dataOf(request)[key] = count
    return count
  },
  signOther: (value) => new Signer(secrets).sign(value),
  check,
})

process.once('SIGTERM', () => void app.close().then(() => process.exit()))
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
