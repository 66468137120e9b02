import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ownWork } from './owned-work.ts'
import { readHead } from './record.ts'
import { keyOf } from './session-cookie.ts'
import type { SessionPolicy } from './session-state.ts'
import type { ListedRecord, SessionStore } from './store.ts'

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

/** Where a person is signed in, newest first: as many as `maxPerUser` allows, and what is beyond that ends. */
export function listSessions(scope: Scope, userId: string): Promise<UserSession[]> {
  return ownWork(scope, list(scope, userId))
}

async function list(scope: Scope, userId: string): Promise<UserSession[]> {
  const policy = policyOf(scope)
  const current = currentKey(scope)
  const sessions: UserSession[] = []
  for (const { key, head: line, leftMs } of await keepNewest(policy, keyOf(userId))) {
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

/** Ends one session of a person; false when there is none with this id, or it is somebody else's. */
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
 * Ends all sessions of a person and returns how many; `except` spares one: its id, or 'current' for this request's. A
 * sign-in that is under way fails with SESSION_GONE. It goes page by page: what it has ended when the store fails it
 * stays ended.
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
    count += await removeAll(
      store,
      ownerKey,
      page.filter(({ key }) => key !== spared),
    )
  }
  return count
}

type Living = ListedRecord & { head: string }

/**
 * The newest sessions of a person, oldest first. Those beyond `maxPerUser` end, and names without a session go. Of a
 * list that has grown without a cap no more than a page is in memory at a time.
 */
export async function keepNewest(policy: SessionPolicy, ownerKey: string): Promise<Living[]> {
  const { store, absoluteMs, maxPerUser } = policy
  const newest: Living[] = []
  for await (const page of pagesOf(store, ownerKey)) {
    newest.push(...page.filter((listed): listed is Living => listed.head !== null))
    const surplus = newest.splice(0, newest.length - maxPerUser)
    const signedInBefore = Date.now() - LEFTOVER_AFTER_MS
    const leftovers = page.filter(({ head, until }) => head === null && until - absoluteMs < signedInBefore)
    await removeAll(store, ownerKey, [...surplus, ...leftovers])
  }
  return newest
}

/** The names on a person's list, oldest first. */
async function* pagesOf(store: SessionStore, ownerKey: string): AsyncGenerator<ListedRecord[]> {
  let next: ListedRecord | undefined
  do {
    const page = await store.list(ownerKey, next)
    yield page.sessions
    next = page.next
  } while (next)
}

async function removeAll(
  store: SessionStore,
  ownerKey: string,
  listed: readonly ListedRecord[],
): Promise<number> {
  if (listed.length === 0) return 0
  return store.removeAll(
    listed.map(({ key }) => key),
    ownerKey,
  )
}

function policyOf(scope: Scope): SessionPolicy {
  return ('server' in scope && 'raw' in scope ? scope.server : (scope as FastifyInstance)).sessions
}

function currentKey(scope: Scope): string | undefined {
  return 'raw' in scope && scope.session ? keyOf(scope.session.sessionId) : undefined
}
