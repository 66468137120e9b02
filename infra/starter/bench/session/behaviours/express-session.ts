import { Signer } from '@fastify/cookie'
import { RedisStore } from 'connect-redis'
import express, { type Request, type Response } from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { registerBehaviourRoutes } from '../../../../../packages/session/test/behaviours/behaviour-routes.ts'

// Express 5 with express-session and connect-redis, as their READMEs show them, with the routes that the behaviours use.
const { PORT, SESSION_STORE_URL, SESSION_SECRETS, SESSION_IDLE_MS } = process.env
const secret = SESSION_SECRETS!.split(',')
const maxAge = Number(SESSION_IDLE_MS)
const client = createClient({ url: SESSION_STORE_URL! })
client.on('error', () => {})
await client.connect()

const app = express()
app.use(express.json({ strict: false }))
app.use(
  session({
    store: new RedisStore({ client }),
    secret,
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge },
  }),
)

type Work = (done: (error?: unknown) => void) => void
const promised = (work: Work) =>
  new Promise<void>((resolve, reject) => work((error) => (error ? reject(error) : resolve())))

/** The session, with `save` and `reload` as promises. */
function withPromises(stored: Request['session']): unknown {
  return new Proxy(stored, {
    get(target, key) {
      if (key === 'save' || key === 'reload') return () => promised((done) => target[key](done))
      return Reflect.get(target, key)
    },
  })
}

type Handler = (request: unknown, reply: unknown) => Promise<unknown>

/** Adapts the part of Fastify that the behaviours' routes use to Express. */
function register(method: 'get' | 'post' | 'delete') {
  return (path: string, _options: unknown, handler: Handler) => {
    app[method](path, async (request: Request, response: Response) => {
      const reply = {
        code: (status: number) => (response.status(status), reply),
        send: (body: unknown) => (response.json(body), reply),
        redirect: (url: string) => (response.redirect(url), reply),
      }
      const { body, params, query } = request
      const words = {
        body,
        params,
        query,
        request,
        get session() {
          return withPromises(request.session)
        },
      }
      const answer = await handler(words, reply)
      if (answer !== undefined && answer !== reply) response.json(answer)
    })
  }
}

const fastify = { get: register('get'), post: register('post'), delete: register('delete') }
const sessionOf = (words: unknown) =>
  (words as { request: Request }).request.session as unknown as Record<string, unknown>

async function regenerate(words: unknown): Promise<void> {
  const { request } = words as { request: Request }
  const { cookie: _, ...kept } = { ...request.session } as Record<string, unknown>
  await promised((done) => request.session.regenerate(done))
  Object.assign(request.session, kept)
}

registerBehaviourRoutes(fastify as unknown as Parameters<typeof registerBehaviourRoutes>[0], {
  async signIn(words, user) {
    await regenerate(words)
    sessionOf(words)['user'] = user
  },
  signOut: (words) =>
    promised((done) => (words as unknown as { request: Request }).request.session.destroy(done)),
  regenerate,
  async increment(words, key) {
    const count = Number(sessionOf(words)[key] ?? 0) + 1
    sessionOf(words)[key] = count
    return count
  },
  signOther: (value) => new Signer(secret).sign(value),
  check: async () => void (await client.ping()),
})

const server = app.listen(Number(PORT), '127.0.0.1')
process.once('SIGTERM', () => server.close(() => process.exit()))
