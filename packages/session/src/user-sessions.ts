import type { FastifyInstance, FastifyRequest } from 'fastify'
import { readHead, type SessionUser } from './record.ts'
import { changeUser, ownWork, sessionOf, userOf, type SessionPolicy } from './request-session.ts'
import { destroySession } from './save-session.ts'
import { keyOf } from './session-cookie.ts'
import { SignedOut } from './session-error.ts'
import { keepNewest, pagesOf, removeListed } from './store.ts'

/** The user who is signed in. @throws SIGNED_OUT */
export function currentUser(request: FastifyRequest): Readonly<SessionUser> {
  const user = userOf(sessionOf(request))
  if (!user) throw new SignedOut()
  return user
}

/**
 * Signs a user in. The session gets a new id (the old one ends), keeps the data of an anonymous visitor, and is on the
 * user's list with time and user agent. It is stored when the request is answered. An answer of 500 or more, or of 400 or
 * more to an error that was thrown, signs nobody in, even if the session was saved already.
 */
export function signIn(request: FastifyRequest, user: SessionUser): Promise<void> {
  changeUser(sessionOf(request), user)
  return Promise.resolve()
}

/**
 * Ends the session of this request at once. When this resolves, no process accepts it, and another request with this session
 * cannot store anything. The answer clears the cookie.
 *
 * @throws SESSION_STORE_UNAVAILABLE
 */
export function signOut(request: FastifyRequest): Promise<void> {
  return ownWork(request, destroySession(sessionOf(request)))
}

/** One session of a user. */
export interface UserSession {
  /** For `endSession`. It is a hash, so it cannot be used as a cookie. */
  id: string
  createdAt: Date
  lastSeenAt: Date
  userAgent: string
  /** Whether it is the session of this request. */
  current: boolean
}

type Scope = FastifyRequest | FastifyInstance

/** The sessions of a user, newest first. At most `maxPerUser`: older ones are ended. @throws SESSION_STORE_UNAVAILABLE */
export function listSessions(scope: Scope, userId: string): Promise<UserSession[]> {
  return ownWork(scope, list(scope, userId))
}

async function list(scope: Scope, userId: string): Promise<UserSession[]> {
  const policy = policyOf(scope)
  const current = currentKey(scope)
  const sessions: UserSession[] = []
  for (const { key, head: line, leftMs } of await keepNewest(policy.store, keyOf(userId), policy)) {
    const head = readHead(line)
    if (!head) continue
    const lastSeenMs = Math.min(Date.now(), Math.max(head.createdAt, Date.now() + leftMs - policy.idleMs))
    sessions.push({
      id: key,
      createdAt: new Date(head.createdAt),
      lastSeenAt: new Date(lastSeenMs),
      userAgent: head.userAgent,
      current: key === current,
    })
  }
  return sessions.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())
}

/** Ends one session of a user. False when the user has no session with this id. @throws SESSION_STORE_UNAVAILABLE */
export function endSession(scope: Scope, userId: string, id: string): Promise<boolean> {
  return ownWork(scope, end(scope, userId, id))
}

async function end(scope: Scope, userId: string, id: string): Promise<boolean> {
  const { store } = policyOf(scope)
  const ownerKey = keyOf(userId)
  for await (const page of pagesOf(store, ownerKey)) {
    if (page.some(({ key }) => key === id)) return (await store.remove(id, ownerKey)) !== null
  }
  return false
}

/**
 * Ends all sessions of a user and returns how many. `except` is the id of a session to keep, or 'current' for that of this
 * request. A sign-in of this user that is not finished fails with SESSION_GONE. The list is ended page by page: if the store
 * fails, the sessions of earlier pages stay ended.
 *
 * @throws SESSION_STORE_UNAVAILABLE
 */
export function endAllSessions(
  scope: Scope,
  userId: string,
  options: { except?: string } = {},
): Promise<number> {
  return ownWork(scope, endAll(scope, userId, options))
}

async function endAll(scope: Scope, userId: string, { except }: { except?: string }): Promise<number> {
  const { store } = policyOf(scope)
  const ownerKey = keyOf(userId)
  const spared = except === 'current' ? currentKey(scope) : except
  const pages = pagesOf(store, ownerKey)
  let count = 0
  for await (const page of pages) {
    const doomed = page.filter(({ key }) => key !== spared)
    count += await removeListed(store, ownerKey, doomed)
  }
  return count
}

function policyOf(scope: Scope): SessionPolicy {
  return ('server' in scope && 'raw' in scope ? scope.server : (scope as FastifyInstance)).sessions
}

function currentKey(scope: Scope): string | undefined {
  return 'raw' in scope && scope.session ? keyOf(scope.session.sessionId) : undefined
}
