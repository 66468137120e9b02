import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ownWork } from './owned-work.ts'
import { readHead } from './record.ts'
import { keyOf } from './session-cookie.ts'

/** One place where a person is signed in. */
export interface UserSession {
  /** For `endSession`; it opens nothing. */
  id: string
  createdAt: Date
  lastSeenAt: Date
  userAgent: string
  /** It is the session of this very request. */
  current: boolean
}

type Scope = FastifyRequest | FastifyInstance

// A name on the list without a session is either about to get one (its sign-in is under way) or a leftover.
const LEFTOVER_AFTER_MS = 60_000

/** Where a person is signed in, newest first. */
export function listSessions(scope: Scope, userId: string): Promise<UserSession[]> {
  return ownWork(scope, list(scope, userId))
}

async function list(scope: Scope, userId: string): Promise<UserSession[]> {
  const { store, idleMs, absoluteMs } = policyOf(scope)
  const ownerKey = keyOf(userId)
  const current = currentKey(scope)
  const sessions: UserSession[] = []
  for (const { key, record, leftMs, until } of await store.list(ownerKey)) {
    const head = record === null ? null : readHead(record)
    if (record === null && until - absoluteMs < Date.now() - LEFTOVER_AFTER_MS) {
      await store.remove(key, ownerKey)
    }
    if (!head) continue
    const lastSeenMs = Math.min(Date.now(), Math.max(head.createdAt, Date.now() + leftMs - idleMs))
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

/** Ends one session of a person; false when there is none with this id, or it is somebody else's. */
export function endSession(scope: Scope, userId: string, id: string): Promise<boolean> {
  return ownWork(scope, end(scope, userId, id))
}

async function end(scope: Scope, userId: string, id: string): Promise<boolean> {
  const { store } = policyOf(scope)
  const ownerKey = keyOf(userId)
  const isTheirs = (await store.list(ownerKey)).some(({ key }) => key === id)
  return isTheirs && (await store.remove(id, ownerKey)) !== null
}

/** Ends all sessions of a person and returns how many; `except` spares one: its id, or 'current' for this request's. */
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
  const listed = (await store.list(ownerKey)).filter(({ key, record }) => record !== null && key !== spared)
  const removed = await Promise.all(listed.map(({ key }) => store.remove(key, ownerKey)))
  return removed.filter((record) => record !== null).length
}

function policyOf(scope: Scope): FastifyInstance['sessions'] {
  return ('server' in scope && 'raw' in scope ? scope.server : (scope as FastifyInstance)).sessions
}

function currentKey(scope: Scope): string | undefined {
  return 'raw' in scope && scope.session ? keyOf(scope.session.sessionId) : undefined
}
