import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HookHandlerDoneFunction as Done,
  onSendHookHandler,
} from 'fastify'
import fp from 'fastify-plugin'
import { readHead } from './record.ts'
import { createCookieSigner, deadlineOf, keyOf, newSessionId } from './session-cookie.ts'
import { ABSOLUTE_MS, IDLE_MS } from './session-env.ts'
import { SignedOut } from './session-error.ts'
import {
  commitState,
  giveUp,
  hasChanges,
  openState,
  STATE,
  timeLeft,
  type SessionPolicy,
  type SessionState,
  type Shell,
} from './session-state.ts'
import { viewSession } from './session-view.ts'
import type { SessionStore } from './store.ts'

export interface SessionOptions {
  /** From `openSessionStore`; whoever opened it closes it. */
  store: SessionStore
  /** Newest first; the others are still accepted. */
  secrets: readonly string[]
  /** What the browser sees, as `https://example.com`. With https the cookie is `__Host-session`, Secure. */
  origin: string
  /** Default: 30 minutes. */
  idleMs?: number
  /** Default: 12 hours. */
  absoluteMs?: number
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
  const { store, idleMs = IDLE_MS, absoluteMs = ABSOLUTE_MS } = options
  const isSecure = new URL(options.origin).protocol === 'https:'
  const cookieName = isSecure ? '__Host-session' : 'session'
  const attributes = { path: '/', httpOnly: true, secure: isSecure, sameSite: 'lax' } as const
  const signer = createCookieSigner(options.secrets, cookieName)
  const policy: SessionPolicy = { store, idleMs, absoluteMs, issueShell }
  let isIssuing = false

  // A request without a session gets no id, so it costs neither random bytes nor a signature.
  function idGenerator(): string {
    return isIssuing ? newSessionId(absoluteMs) : ''
  }

  /** @fastify/session answers a cookie that is not ours with a fresh session, at once and without its store. */
  function issueShell(request: FastifyRequest): Shell {
    const { session } = request
    isIssuing = true
    app.decryptSession('', request, () => {})
    isIssuing = false
    const shell = request.session
    request.session = session
    return shell
  }

  // The data does not pass through @fastify/session: it gets a shell without anything to stringify and hash, and is
  // never asked to store, because its `set` cannot tell a new session from one that another process has just ended.
  const adapter = {
    get(id: string, done: (error: unknown, session?: Shell | null) => void): void {
      const leftMs = timeLeft(policy, id)
      if (leftMs <= 0) return done(null, null)
      const { accepted } = signer
      store.load(keyOf(id), leftMs).then((record) => {
        const head = record === null ? null : readHead(record)
        signer.accepted = accepted
        done(null, head && ({ record, head, toJSON: () => '' } as unknown as Shell))
      }, done)
    },
    set: (_id: string, _shell: Shell, done: () => void): void => done(),
    destroy: (_id: string, done: () => void): void => done(),
  }

  function openSession(request: FastifyRequest, _reply: FastifyReply, done: Done): void {
    const state = openState(policy, request, request.session)
    request[STATE] = state
    request.session = viewSession(state)
    done()
  }

  /** Stores what the request changed before the first byte of the answer leaves. */
  function saveSession(
    request: FastifyRequest,
    reply: FastifyReply,
    _payload: unknown,
    done: () => void,
  ): Promise<void> | undefined {
    const state = request[STATE]
    if (reply.sent || state?.isAnswering) {
      // A handler that answered without returning it, and now answers again: the first answer is on its way.
      request.log.warn('This request has been answered already: did you forget to return the reply?')
      return
    }
    if (state && reply.statusCode >= 500) giveUp(state)
    if (!state || !isToSave(state, reply)) {
      sendCookie(request, reply)
      done()
      return
    }
    const restoreAnswer = rememberAnswer(reply)
    state.isAnswering = true
    return commitState(state)
      .finally(() => {
        state.isAnswering = false
        restoreAnswer()
      })
      .then(() => sendCookie(request, reply))
  }

  /**
   * A cookie goes out only when the client does not have it yet. Sent with every write, the late answer of one request
   * would put an old id back into a browser that another request has just signed in.
   */
  function sendCookie(request: FastifyRequest, reply: FastifyReply): void {
    const state = request[STATE]
    request.session = null as unknown as Shell
    if (!state || state.failure) return
    const { shell } = state
    const isNew = state.data.record !== undefined && request.cookies[cookieName] !== shell.encryptedSessionId
    if (!isNew && !state.isSignedOut) return
    reply.header('cache-control', 'no-store')
    if (isNew) {
      const expires = new Date(deadlineOf(shell.sessionId))
      // Not `secure`: @fastify/session drops a secure cookie in silence when the last hop is plain http.
      const cookie = { secure: false, toJSON: () => ({ ...attributes, expires }) }
      request.session = Object.assign(shell, { isModified: () => true, cookie })
    } else {
      // Not the clearing of @fastify/session: a __Host- cookie that is cleared without `Secure` stays.
      reply.clearCookie(cookieName, attributes)
    }
  }

  app.decorate('sessions', policy)
  app.decorateRequest(STATE, null)
  if (!app.hasPlugin('@fastify/cookie')) await app.register(cookie)
  app.addHook('onSend', saveSession as onSendHookHandler)
  await app.register(fastifySession, {
    store: adapter,
    secret: signer,
    cookieName,
    cookie: attributes,
    idGenerator,
    rolling: false,
    saveUninitialized: false,
  })
  app.addHook('onRequest', openSession)
  const service: AccessChecks = app
  if (service.addAccessCheck) service.addAccessCheck('user', requireUser)
  else app.addHook('onRequest', checkAccess)
  store.decorate?.(app)
  app.addHook('onReady', async () => {
    await store.check().catch((error: Error) => {
      app.log.warn({ err: error.cause ?? error }, 'The session store is not available yet')
    })
  })
}

/** @throws SIGNED_OUT */
function requireUser(request: FastifyRequest): void {
  if (request[STATE]?.head?.user == null) throw new SignedOut()
}

/** On a Fastify that is no service nobody else looks at what a route asks for. */
function checkAccess(request: FastifyRequest, _reply: FastifyReply, done: Done): void {
  const { access } = request.routeOptions.config as { access?: unknown }
  if (access === 'user') requireUser(request)
  done()
}

/** An error that is on its way is not replaced by the failure it may well be about. */
function isToSave(state: SessionState, reply: FastifyReply): boolean {
  return state.failure ? reply.statusCode < 400 : state.turn !== undefined || hasChanges(state)
}

/** A second answer writes its status and headers over those of the first: this puts them back. */
function rememberAnswer(reply: FastifyReply): () => void {
  const { statusCode } = reply
  const { 'set-cookie': _, ...headers } = reply.getHeaders()
  return () => {
    if (reply.statusCode === statusCode) return
    for (const name of Object.keys(reply.getHeaders())) if (!(name in headers)) reply.removeHeader(name)
    reply.code(statusCode).headers(headers)
  }
}

/** Sessions for a service, and the check of its routes that are for users. */
export const session = fp(sessionPlugin, { name: 'session', fastify: '5.x' })
