import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction as Done } from 'fastify'
import fp from 'fastify-plugin'
import { checkAccess, requireAccess } from './access.ts'
import { readHead } from './record.ts'
import { createCookieSigner, deadlineOf, keyOf, newSessionId } from './session-cookie.ts'
import {
  blankShell,
  commitState,
  discardChanges,
  hasChanges,
  openState,
  STATE,
  takeNewId,
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

const HALF_AN_HOUR_MS = 30 * 60_000
const HALF_A_DAY_MS = 12 * 60 * 60_000

async function sessionPlugin(app: FastifyInstance, options: SessionOptions): Promise<void> {
  const { store, idleMs = HALF_AN_HOUR_MS, absoluteMs = HALF_A_DAY_MS } = options
  const isSecure = new URL(options.origin).protocol === 'https:'
  const cookieName = isSecure ? '__Host-session' : 'session'
  const attributes = { path: '/', httpOnly: true, secure: isSecure, sameSite: 'lax' } as const
  const policy: SessionPolicy = { store, idleMs, absoluteMs }
  const states = new WeakMap<Shell, SessionState>()

  /** What @fastify/session takes for its store. */
  const adapter = {
    get(id: string, done: (error: unknown, session?: Shell | null) => void): void {
      const leftMs = Math.min(idleMs, deadlineOf(id) - Date.now())
      if (leftMs <= 0) return done(null, null)
      store.load(keyOf(id), leftMs).then((record) => {
        const head = record === null ? null : readHead(record)
        done(null, head && ({ record, head, toJSON: () => '' } as unknown as Shell))
      }, done)
    },
    set(_id: string, shell: Shell, done: (error?: unknown) => void): void {
      const state = states.get(shell)!
      commitState(state)
        .finally(() => {
          state.answer = 'saved'
          state.restoreAnswer?.()
        })
        .then(() => done(), done)
    },
    destroy(_id: string, done: () => void): void {
      done()
    },
  }

  function openSession(request: FastifyRequest, _reply: FastifyReply, done: Done): void {
    const shell = request.session.sessionId ? request.session : blankShell(request)
    const state = openState(policy, request, shell)
    request[STATE] = state
    request.session = viewSession(state)
    checkAccess(request, state.head?.user != null)
    done()
  }

  /**
   * Runs before @fastify/session's own hook and leaves to it only what there is to save; without a session to look at
   * it does nothing, so a read costs nothing here and its cookie stays as it is.
   */
  function prepareSave(request: FastifyRequest, reply: FastifyReply, _payload: unknown, done: Done): void {
    const state = request[STATE]
    if (reply.sent || state?.answer === 'saving') {
      // A handler that answered without returning it, and now answers again: the first answer is under way.
      request.log.warn('The reply is already being sent: did you forget to return it?')
      return
    }
    request.session = null as unknown as Shell
    if (!state) return done()
    if (reply.statusCode >= 500) discardChanges(state)

    const isRenewed =
      state.record !== undefined && request.cookies[cookieName] !== state.shell.encryptedSessionId
    if (!state.isOver && (hasChanges(state) || isRenewed || state.shell.isSaved())) {
      request.session = handOver(state, reply)
    } else if (state.isSignedOut) {
      // Not the library's clearing: a __Host- cookie that is cleared without Secure stays.
      reply.header('cache-control', 'no-store').clearCookie(cookieName, attributes)
    }
    done()
  }

  function handOver(state: SessionState, reply: FastifyReply): Shell {
    takeNewId(state)
    const { shell } = state
    const expires = new Date(deadlineOf(shell.sessionId))
    states.set(shell, state)
    state.answer = 'saving'
    state.restoreAnswer = rememberAnswer(reply)
    reply.header('cache-control', 'no-store')
    // @fastify/session drops a secure cookie in silence when the last hop is plain http; the origin knows better.
    return Object.assign(shell, {
      isModified: () => true,
      cookie: { secure: false, toJSON: () => ({ ...attributes, expires }) },
    })
  }

  app.decorate('sessions', policy)
  app.decorateRequest(STATE, null)
  app.addHook('onRoute', requireAccess)
  if (!app.hasPlugin('@fastify/cookie')) await app.register(cookie)
  app.addHook('onSend', prepareSave)
  await app.register(fastifySession, {
    store: adapter,
    secret: createCookieSigner(options.secrets, cookieName),
    cookieName,
    cookie: attributes,
    idGenerator: () => newSessionId(absoluteMs),
    rolling: false,
    saveUninitialized: false,
  })
  app.addHook('onRequest', openSession)
  app.addHook('onSend', leaveCallback)
  app.addHook('onReady', async () => {
    await store.check().catch((error: Error) => {
      app.log.warn({ err: error.cause ?? error }, 'The session store is not available yet')
    })
  })
}

/**
 * @fastify/session goes on in the callback of its save, where an exception (a header that cannot be written) would
 * end the process. From a promise it becomes an answer.
 */
function leaveCallback(
  request: FastifyRequest,
  _reply: FastifyReply,
  _payload: unknown,
  done: Done,
): Promise<void> | undefined {
  if (request[STATE]?.answer === 'saved') return Promise.resolve()
  done()
  return undefined
}

function rememberAnswer(reply: FastifyReply): () => void {
  const { statusCode } = reply
  const { 'set-cookie': _, ...headers } = reply.getHeaders()
  return () => {
    if (reply.statusCode === statusCode) return
    for (const name of Object.keys(reply.getHeaders())) if (!(name in headers)) reply.removeHeader(name)
    reply.code(statusCode).headers(headers)
  }
}

/** Sessions for a service, and the rule that every route says who may use it. */
export const session = fp(sessionPlugin, { name: 'session', fastify: '5.x' })
