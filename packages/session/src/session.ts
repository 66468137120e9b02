import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction as Done,
  onSendHookHandler,
  RouteOptions,
} from 'fastify'
import fp from 'fastify-plugin'
import { openCopy, readHead, type RecordHead } from './record.ts'
import {
  finishOwned,
  hasChanges,
  SESSION,
  type RequestSession,
  type SessionPolicy,
} from './request-session.ts'
import { createCookieSigner, deadlineOf, hostCookieName } from './session-cookie.ts'
import { ABSOLUTE_MS, IDLE_MS, MAX_PER_USER } from './session-env.ts'
import { SignedOut } from './session-error.ts'
import { abandonSession, loadRecord, saveSession } from './save-session.ts'
import { proxySession } from './session-proxy.ts'
import type { SessionStore } from './store.ts'

/**
 * What the browser forgets of the whole origin at a sign-out. Not "cookies", which means those of other subdomains too, and of
 * whatever tells a browser that has signed in before; ours is cleared by name. Not "cache": private answers are in none, and
 * Chrome takes seconds to clear it.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Clear-Site-Data
 */
const CLEARED_AT_SIGN_OUT = '"storage"'

export interface SessionOptions {
  /** From `openSessionStore`; whoever opened it closes it. */
  store: SessionStore
  /** Newest first; the others are still accepted. */
  secrets: readonly string[]
  /** What the browser sees, as `https://example.com`. With https the cookie is `__Host-session`, Secure; else `session-3000`, by its port. */
  origin: string
  /** Default: 30 minutes. */
  idleMs?: number
  /** Default: 12 hours. */
  absoluteMs?: number
  /** Who signs in once more loses the oldest session. Default: 100. */
  maxPerUser?: number
}

declare module 'fastify' {
  interface FastifyInstance {
    sessions: SessionPolicy
  }
}

/** What a service may have (@repo/service): it asks whoever registers a check, and boots with no route that needs another. */
interface AccessChecks {
  addAccessCheck?(access: 'user', check: (request: FastifyRequest) => void): void
}

async function sessionPlugin(app: FastifyInstance, options: SessionOptions): Promise<void> {
  const { store, idleMs = IDLE_MS, absoluteMs = ABSOLUTE_MS, maxPerUser = MAX_PER_USER } = options
  const isSecure = new URL(options.origin).protocol === 'https:'
  const cookieName = hostCookieName('session', options.origin)
  const attributes = { path: '/', httpOnly: true, secure: isSecure, sameSite: 'lax' } as const
  const signer = createCookieSigner(options.secrets, cookieName)
  const policy: SessionPolicy = { store, idleMs, absoluteMs, maxPerUser, sign: (id) => signer.sign(id) }
  // What @fastify/session gives the next of its session objects. A request without a session gets none, so it costs
  // neither random bytes nor a signature.
  let nextId = ''

  // The data does not pass through @fastify/session: it gets an object without anything to stringify and hash, and is
  // never asked to store, because its `set` cannot tell a new session from one that another process has just ended.
  const adapter = {
    get(id: string, done: (error: unknown, session?: FastifyRequest['session'] | null) => void): void {
      const { accepted } = signer
      loadRecord(policy, id).then((record) => {
        const head = record === null ? null : readHead(record)
        signer.accepted = accepted
        done(null, head && ({ record, head, toJSON: () => '' } as unknown as FastifyRequest['session']))
      }, done)
    },
    set: (_id: string, _session: unknown, done: () => void): void => done(),
    destroy: (_id: string, done: () => void): void => done(),
  }

  function openSession(request: FastifyRequest, reply: FastifyReply, done: Done): void {
    const { sessionId, encryptedSessionId } = request.session
    const { record, head = null } = request.session as { record?: string; head?: RecordHead }
    const current: RequestSession = {
      policy,
      request,
      reply,
      id: sessionId,
      head,
      copy: openCopy(record),
      renewal: undefined,
      failure: undefined,
      isSignedOut: false,
      isCookieDue: request.cookies[cookieName] !== encryptedSessionId,
      hasThrown: false,
      isRead: false,
      isAnswering: false,
      isAnswered: false,
      owned: [],
      turn: undefined,
      cameAs: head ? (head.user?.id ?? null) : undefined,
      begun: undefined,
    }
    request[SESSION] = current
    request.session = proxySession(current)
    done()
  }

  /** Stores what the request changed before the first byte of the answer leaves. */
  function settleAnswer(
    request: FastifyRequest,
    reply: FastifyReply,
    _payload: unknown,
    done: () => void,
  ): Promise<void> | undefined {
    const current = request[SESSION]
    if (reply.sent || current?.isAnswering) {
      // A handler that answered without returning it, and now answers again: the first answer is on its way.
      request.log.warn('This request has been answered already: did you forget to return the reply?')
      return
    }
    const isFailed = isFailure(reply, current)
    // The cookie of the session is all that an error may carry.
    if (isFailed) reply.removeHeader('set-cookie')
    if (!current || !isToSettle(current, isFailed)) {
      sendCookie(request, reply)
      done()
      return
    }
    const restoreAnswer = rememberAnswer(reply)
    current.isAnswering = true
    return settle(current, reply)
      .finally(() => {
        current.isAnswering = false
        restoreAnswer()
      })
      .then(() => sendCookie(request, reply))
  }

  /**
   * A cookie goes out only when the client does not have it yet. Sent with every write, the late answer of one request
   * would put an old id back into a browser that another request has just signed in.
   */
  function sendCookie(request: FastifyRequest, reply: FastifyReply): void {
    const current = request[SESSION]
    request.session = null as unknown as FastifyRequest['session']
    const { access } = request.routeOptions.config as { access?: unknown }
    const isPrivate = current?.isRead || access === 'user'
    if (isPrivate && !reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    if (current) current.isAnswered = true
    if (!current || current.failure) return
    const isDue = current.copy.text !== undefined && current.isCookieDue
    if (!isDue && !current.isSignedOut) return
    reply.header('cache-control', 'no-store')
    if (isDue) {
      // @fastify/session answers a cookie that is not ours with a fresh session of its own, at once and without its store.
      nextId = current.id
      app.decryptSession('', request, () => {})
      nextId = ''
      const expires = new Date(deadlineOf(current.id))
      // Not `secure`: @fastify/session drops a secure cookie in silence when the last hop is plain http.
      // Both, since clocks of clients go wrong, and some know `Expires` alone: RFC 6265, 5.3.
      const maxAge = Math.ceil((expires.getTime() - Date.now()) / 1000)
      const cookie = { secure: false, toJSON: () => ({ ...attributes, maxAge, expires }) }
      Object.assign(request.session, { isModified: () => true, cookie })
    } else {
      // Not the clearing of @fastify/session: a __Host- cookie that is cleared without `Secure` stays.
      reply.clearCookie(cookieName, attributes)
      reply.header('clear-site-data', CLEARED_AT_SIGN_OUT)
    }
  }

  app.decorate('sessions', policy)
  app.decorateRequest(SESSION, null)
  app.addHook('onRoute', noteErrors)
  if (!app.hasPlugin('@fastify/cookie')) await app.register(cookie)
  app.addHook('onSend', settleAnswer as onSendHookHandler)
  await app.register(fastifySession, {
    store: adapter,
    secret: signer,
    cookieName,
    cookie: attributes,
    idGenerator: () => nextId,
    rolling: false,
    saveUninitialized: false,
  })
  app.addHook('onRequest', openSession)
  const service: AccessChecks = app
  if (service.addAccessCheck) service.addAccessCheck('user', requireUser)
  else app.addHook('onRequest', checkAccess)
  if ('redis' in store.connection) {
    const { lendConnection } = await import('./stores/redis.ts')
    lendConnection(app, store.connection.redis)
  }
  app.addHook('onReady', async () => {
    await store.check().catch((error: Error) => {
      app.log.warn({ err: error.cause ?? error }, 'The session store is not available yet')
    })
  })
}

/** @throws SIGNED_OUT */
function requireUser(request: FastifyRequest): void {
  if (request[SESSION]?.head?.user == null) throw new SignedOut()
}

/** On a Fastify that is no service nobody else looks at what a route asks for. */
function checkAccess(request: FastifyRequest, _reply: FastifyReply, done: Done): void {
  const { access } = request.routeOptions.config as { access?: unknown }
  if (access === 'user') requireUser(request)
  done()
}

/** Looks at every error of a route before it is answered, whoever answers it. */
function noteErrors(route: RouteOptions): void {
  const { errorHandler } = route
  route.errorHandler = function handleError(error, request, reply) {
    const current = request[SESSION]
    if (current) current.hasThrown = true
    // A rejection goes on to the handler of the scope.
    return errorHandler ? errorHandler.call(this, error, request, reply) : Promise.reject(error)
  }
}

/** Whether the answer says that the request has failed. An error that is answered with a redirect, say, has not. */
function isFailure({ statusCode }: FastifyReply, current: RequestSession | null): boolean {
  return statusCode >= 500 || (statusCode >= 400 && current?.hasThrown === true)
}

function isToSettle(current: RequestSession, isFailed: boolean): boolean {
  if (current.owned.length > 0 || current.failure) return true
  return isFailed ? current.begun !== undefined : hasChanges(current)
}

async function settle(current: RequestSession, reply: FastifyReply): Promise<void> {
  await finishOwned(current)
  if (isFailure(reply, current)) return abandonSession(current)
  // An error that is on its way is not replaced by the failure it may well be about.
  if (!current.failure || reply.statusCode < 400) await saveSession(current)
}

/** A second answer writes its status and headers over those of the first: this puts them back. */
function rememberAnswer(reply: FastifyReply): () => void {
  const { statusCode } = reply
  const headers = reply.getHeaders()
  return () => {
    if (reply.statusCode === statusCode) return
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.code(statusCode).headers(headers)
  }
}

/** Sessions for a service, and the check of its routes that are for users. */
export const session = fp(sessionPlugin, { name: 'session', fastify: '5.x' })
