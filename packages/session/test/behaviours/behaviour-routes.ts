import { EventEmitter, once } from 'node:events'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** The differences between the packages under test. */
export interface SessionWords {
  signIn(request: FastifyRequest, user: { id: string }): Promise<void>
  signOut(request: FastifyRequest): Promise<void>
  /** Gives the session a new id and keeps its data. */
  regenerate(request: FastifyRequest): Promise<void>
  increment(request: FastifyRequest, key: string): Promise<number>
  listSessions?(request: FastifyRequest, userId: string): Promise<{ userAgent: string; current: boolean }[]>
  endAllSessions?(request: FastifyRequest, userId: string): Promise<void>
  /** The value of a cookie with another name, signed as this server signs cookies. */
  signOther(value: string): string
  check(): Promise<void>
}

type Data = Record<string, unknown> & { user?: { id: string } }

function dataOf(request: FastifyRequest): Data {
  return request.session as unknown as Data
}

/**
 * The routes of every server under test. A request with `?gate=name` does its work and then waits for `POST /gate/name`
 * before it answers. `GET /gate/name` is answered when the request waits. So a test can make two requests overlap.
 */
export function registerBehaviourRoutes(app: FastifyInstance, words: SessionWords): void {
  const gates = new Map<string, () => void>()
  const arrivals = new EventEmitter()
  const config = { access: 'public' } as const

  async function passGate(request: FastifyRequest): Promise<void> {
    const { gate } = request.query as { gate?: string }
    if (!gate) return
    const isOpen = new Promise<void>((open) => gates.set(gate, open))
    arrivals.emit(gate)
    await isOpen
  }

  app.get('/gate/:name', { config }, async (request) => {
    const { name } = request.params as { name: string }
    if (!gates.has(name)) await once(arrivals, name, { signal: AbortSignal.timeout(5000) })
    return {}
  })
  app.post('/gate/:name', { config }, async (request) => {
    const { name } = request.params as { name: string }
    gates.get(name)?.()
    gates.delete(name)
    return {}
  })

  app.get('/plain', { config }, async () => ({ isFine: true }))
  app.get('/memory', { config }, async () => ({ rss: process.memoryUsage().rss }))
  app.get('/readyz', { config }, async (_request, reply) =>
    words.check().then(
      () => ({ isReady: true }),
      () => reply.code(503).send({ isReady: false }),
    ),
  )

  app.get('/who', { config }, async (request) => {
    const user = dataOf(request).user?.id ?? null
    await passGate(request)
    return { user }
  })
  app.get('/private', { config: { access: 'user' } }, async (request) => ({ user: dataOf(request).user?.id }))
  app.post('/sign-in', { config }, async (request) => {
    await words.signIn(request, request.body as { id: string })
    await passGate(request)
    return {}
  })
  app.post('/sign-in-carelessly', { config }, async (request) => {
    dataOf(request).user = request.body as { id: string }
    return {}
  })
  app.post('/sign-out', { config }, async (request) => {
    await words.signOut(request)
    return {}
  })
  app.post('/regenerate', { config }, async (request) => {
    await words.regenerate(request)
    await passGate(request)
    return {}
  })

  app.get('/values', { config }, async (request) => {
    const { user: _, cookie: __, ...values } = { ...dataOf(request) }
    await passGate(request)
    return { values }
  })
  app.post('/values', { config }, async (request) => {
    for (const [key, value] of request.body as [string, unknown][]) dataOf(request)[key] = value
    await passGate(request)
    return {}
  })
  app.post('/values-then-throw', { config }, async (request) => {
    for (const [key, value] of request.body as [string, unknown][]) dataOf(request)[key] = value
    throw new Error('something secret broke')
  })
  app.post('/increment', { config }, async (request) => ({ count: await words.increment(request, 'count') }))

  app.get('/sessions', { config }, async (request) => ({
    sessions: await words.listSessions!(request, dataOf(request).user!.id),
  }))
  app.delete('/sessions', { config }, async (request) => {
    await words.endAllSessions!(request, dataOf(request).user!.id)
    return {}
  })
  app.post('/sign-other', { config }, async (request) => ({
    cookie: words.signOther((request.body as { value: string }).value),
  }))

  app.post('/save-now', { config }, async (request) => {
    await passGate(request)
    dataOf(request)['late'] = 1
    await request.session.save()
    return {}
  })
  app.post('/save-late', { config }, async (request, reply) => {
    const { session } = request
    reply.send({})
    await passGate(request)
    ;(session as unknown as Data)['late'] = 1
    await session.save().catch(() => {})
    gates.set('saved-late', () => {})
    arrivals.emit('saved-late')
    return reply
  })
  app.post('/reload-and-write', { config }, async (request) => {
    await passGate(request)
    await request.session.reload()
    dataOf(request)['late'] = 1
    return {}
  })

  const unreturned: Record<string, (reply: FastifyReply) => void> = {
    send: (reply) => void reply.send({ answer: 'first' }),
    redirect: (reply) => void reply.redirect('/plain'),
    'send-then-throw': (reply) => {
      reply.send({ answer: 'first' })
      throw new Error('something secret broke')
    },
    'send-twice': (reply) => {
      reply.send({ answer: 'first' })
      reply.send({ answer: 'second' })
    },
  }
  for (const [form, answer] of Object.entries(unreturned)) {
    app.post(`/unreturned/${form}`, { config }, async (request, reply) => {
      dataOf(request)[form] = Date.now()
      answer(reply)
    })
    app.post(`/unreturned-later/${form}`, { config }, async (request, reply) => {
      dataOf(request)[form] = Date.now()
      await new Promise((resolve) => setImmediate(resolve))
      answer(reply)
      await new Promise((resolve) => setImmediate(resolve))
    })
  }
}
