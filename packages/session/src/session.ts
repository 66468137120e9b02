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
import { RoleMissing, SessionNotFresh, SignedOut } from './session-error.ts'
import { abandonSession, loadRecord, saveSession } from './save-session.ts'
import { proxySession } from './session-proxy.ts'
import type { SessionStore } from './store.ts'

/**
 * What the browser clears of the whole origin at a sign-out. Not "cookies": that also clears cookies of other subdomains,
 * such as one that remembers a known browser; our own cookie is cleared by name. Not "cache": private answers are not
 * cached, and Chrome takes seconds to clear it.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Clear-Site-Data
 */
const CLEARED_AT_SIGN_OUT = '"storage"'

/** Long enough for a form, short enough for a browser that is left alone. */
const FRESH_MS = 10 * 60_000

export interface SessionOptions {
  /** From `openSessionStore`. The caller closes it, after the app. */
  store: SessionStore
  /** Newest first. Cookies that were signed with an older one are still accepted. */
  secrets: readonly string[]
  /** As browsers see it: `https://example.com`. The cookie is then `__Host-session`, Secure; else `session-3000`, by port. */
  origin: string
  /** Default: 30 minutes. */
  idleMs?: number
  /** Default: 12 hours. */
  absoluteMs?: number
  /** One more sign-in ends the oldest session of the user. Default: 100. */
  maxPerUser?: number
  /** How long after a sign-in the user may use a `fresh-user` route. Default: 10 minutes. */
  freshMs?: number
}

declare module 'fastify' {
  interface FastifyInstance {
    sessions: SessionPolicy
  }
}

/** Exists in a service of @repo/service. It runs the check, and does not boot with a route whose access nothing checks. */
interface AccessChecks {
  addAccessCheck?(kind: string, check: (request: FastifyRequest, access: unknown) => void): void
}

async function sessionPlugin(app: FastifyInstance, options: SessionOptions): Promise<void> {
  const { store, idleMs = IDLE_MS, absoluteMs = ABSOLUTE_MS, maxPerUser = MAX_PER_USER } = options
  const { freshMs = FRESH_MS } = options
  const isSecure = new URL(options.origin).protocol === 'https:'
  const cookieName = hostCookieName('session', options.origin)
  const attributes = { path: '/', httpOnly: true, secure: isSecure, sameSite: 'lax' } as const
  const signer = createCookieSigner(options.secrets, cookieName)
  const policy: SessionPolicy = { store, idleMs, absoluteMs, maxPerUser, sign: (id) => signer.sign(id) }
  // The id that @fastify/session gives to its next session object. It is empty for a request without a session, which
  // therefore costs neither random bytes nor a signature.
  let nextId = ''

  // The data does not pass through @fastify/session. It gets an object with nothing to stringify and hash, and it never
  // stores: its `set` cannot tell a new session from one that another process has just ended.
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

  /** Stores the changes of the request before the first byte of the answer is sent. */
  function settleAnswer(
    request: FastifyRequest,
    reply: FastifyReply,
    _payload: unknown,
    done: () => void,
  ): Promise<void> | undefined {
    const current = request[SESSION]
    if (reply.sent || current?.isAnswering) {
      // The handler did not return its first answer, which is being sent, and now answers again.
      request.log.warn('This request has been answered already: did you forget to return the reply?')
      return
    }
    const isFailed = isFailure(reply, current)
    // An error carries no cookie except the session's.
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
   * The cookie is sent only when the client does not have it yet. If every write sent it, the late answer of one request
   * would put an old id back into a browser that another request has just signed in.
   */
  function sendCookie(request: FastifyRequest, reply: FastifyReply): void {
    const current = request[SESSION]
    request.session = null as unknown as FastifyRequest['session']
    const isPrivate = current?.isRead || accessOf(request) !== 'public'
    if (isPrivate && !reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    if (current) current.isAnswered = true
    if (!current || current.failure) return
    const isDue = current.copy.text !== undefined && current.isCookieDue
    if (!isDue && !current.isSignedOut) return
    reply.header('cache-control', 'no-store')
    if (isDue) {
      // For an invalid cookie @fastify/session makes a new session, synchronously and without its store.
      nextId = current.id
      app.decryptSession('', request, () => {})
      nextId = ''
      const expires = new Date(deadlineOf(current.id))
      // Not `secure`: @fastify/session silently drops a secure cookie when the last hop is plain http.
      // Both `Max-Age` and `Expires`: clocks of clients go wrong, and some clients know only `Expires`. RFC 6265, 5.3.
      const maxAge = Math.ceil((expires.getTime() - Date.now()) / 1000)
      const cookie = { secure: false, toJSON: () => ({ ...attributes, maxAge, expires }) }
      Object.assign(request.session, { isModified: () => true, cookie })
    } else {
      // @fastify/session would clear it without `Secure`, and a __Host- cookie then stays.
      reply.clearCookie(cookieName, attributes)
      reply.header('clear-site-data', CLEARED_AT_SIGN_OUT)
    }
  }

  /** @throws SIGNED_OUT, SESSION_NOT_FRESH, ROLE_MISSING */
  function requireAccess(request: FastifyRequest, access: unknown): void {
    const head = request[SESSION]?.head
    if (!head?.user) throw new SignedOut()
    if (access === 'fresh-user' && Date.now() - head.provedAt > freshMs) throw new SessionNotFresh()
    const { role } = Object(access) as { role?: string }
    if (role !== undefined && !head.user.roles?.includes(role)) throw new RoleMissing()
  }

  /** For a Fastify app that is not a service of @repo/service, so nothing else reads `config.access`. */
  function checkAccess(request: FastifyRequest, _reply: FastifyReply, done: Done): void {
    const access = accessOf(request)
    // Only @repo/service knows lists. Here everything in one is required, so that none is more public than it says.
    if (access !== 'public') for (const one of [access].flat()) requireAccess(request, one)
    done()
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
  if (service.addAccessCheck) {
    for (const kind of ['user', 'fresh-user', 'role']) service.addAccessCheck(kind, requireAccess)
  } else {
    app.addHook('onRequest', checkAccess)
  }
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

/** Who may use the route of this request. Nothing declares it for the answer 404. */
function accessOf(request: FastifyRequest): unknown {
  return (request.routeOptions.config as { access?: unknown }).access ?? 'public'
}

/** Notes every error of a route before any error handler answers it. */
function noteErrors(route: RouteOptions): void {
  const { errorHandler } = route
  route.errorHandler = function handleError(error, request, reply) {
    const current = request[SESSION]
    if (current) current.hasThrown = true
    // A rejection is passed to the error handler of the scope.
    return errorHandler ? errorHandler.call(this, error, request, reply) : Promise.reject(error)
  }
}

/** Whether the answer says that the request failed. An error that is answered with a redirect, for example, does not. */
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
  // An error that is being answered is not replaced by the session's failure, which may be its cause.
  if (!current.failure || reply.statusCode < 400) await saveSession(current)
}

/** A second answer overwrites the status and headers of the first. Returns a function that restores them. */
function rememberAnswer(reply: FastifyReply): () => void {
  const { statusCode } = reply
  const headers = reply.getHeaders()
  return () => {
    if (reply.statusCode === statusCode) return
    for (const name of Object.keys(reply.getHeaders())) reply.removeHeader(name)
    reply.code(statusCode).headers(headers)
  }
}

/** The session plugin: `request.session`, and the check of routes whose `access` is `user`, `fresh-user` or a role. */
export const session = fp(sessionPlugin, { name: 'session', fastify: '5.x' })
