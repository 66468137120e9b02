import { Signer } from '@fastify/cookie'
import Fastify, { type FastifyError } from 'fastify'
import { endAllSessions, listSessions, openSessionStore, session, signIn, signOut } from '../../src/index.ts'
import { registerBehaviourRoutes } from './behaviour-routes.ts'

// One process of the server under test: this package with the routes of the behaviours.
const { PORT, SESSION_STORE_URL, SESSION_SECRETS, SESSION_IDLE_MS, SESSION_ABSOLUTE_MS } = process.env
const { SESSION_MAX_PER_USER = '100', PUBLIC_ORIGIN } = process.env
const secrets = SESSION_SECRETS!.split(',')
const store = await openSessionStore(SESSION_STORE_URL!)
const app = Fastify({ logger: { level: 'warn' }, forceCloseConnections: 'idle' })

await app.register(session, {
  store,
  secrets,
  origin: PUBLIC_ORIGIN ?? 'http://localhost',
  idleMs: Number(SESSION_IDLE_MS),
  absoluteMs: Number(SESSION_ABSOLUTE_MS),
  maxPerUser: Number(SESSION_MAX_PER_USER),
})

// As @repo/service answers: without the cause.
app.setErrorHandler((error: FastifyError, request, reply) => {
  const { statusCode = 500, code, message } = error
  if (statusCode !== 503 && statusCode >= 500) {
    request.log.error(error)
    return reply.code(500).send({ status: 500 })
  }
  return reply
    .code(statusCode)
    .headers((error as { headers?: Record<string, string> }).headers ?? {})
    .send({ code, message })
})

registerBehaviourRoutes(app, {
  signIn,
  signOut,
  regenerate: (request) => request.session.regenerate(Object.keys(request.session)),
  async increment(request, key) {
    const { session } = request as unknown as {
      session: { update(key: string, fn: (n?: number) => number): Promise<number> }
    }
    return session.update(key, (count = 0) => count + 1)
  },
  async listSessions(request, userId) {
    return listSessions(request, userId)
  },
  async endAllSessions(request, userId) {
    await endAllSessions(request, userId)
  },
  signOther: (value) => new Signer(secrets).sign(value),
  check: () => store.check(),
})

process.once('SIGTERM', async () => {
  await app.close()
  await store[Symbol.asyncDispose]()
})
await app.listen({ host: '127.0.0.1', port: Number(PORT) })
