import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { changedLines, discardChanges, openCopy } from './record.ts'
import type { RecordCopy, RecordHead, SessionUser } from './record.ts'
import type { SessionStore } from './store.ts'

/** Shared by all requests of a service. */
export interface SessionPolicy {
  store: SessionStore
  idleMs: number
  absoluteMs: number
  maxPerUser: number
  /** The value of the cookie that carries this id. */
  sign(id: string): string
}

/** The session of one request: its record, and the changes of the request. */
export interface RequestSession {
  readonly policy: SessionPolicy
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Empty while nothing is stored. */
  id: string
  head: RecordHead | null
  copy: RecordCopy
  /** Set when the session gets a new id at the next save. */
  renewal: Renewal | undefined
  /** The session has ended, or the store failed. Nothing more of this request is stored. */
  failure: Error | undefined
  isSignedOut: boolean
  /** The browser does not have the cookie of this session, or its cookie is not signed with the newest secret. */
  isCookieDue: boolean
  /** An error was thrown, and an error handler answers it. */
  hasThrown: boolean
  /** Something of the session was read, so the answer is for one user. */
  isRead: boolean
  /** The answer waits for the store. */
  isAnswering: boolean
  isAnswered: boolean
  /** Work on sessions that the route started. The answer waits for it. */
  owned: OwnedWork[]
  /** The last write of this request. Writes happen one after the other. */
  turn: Promise<void> | undefined
  /** The user id of the session that came with the request: null for an anonymous session, undefined for no session. */
  readonly cameAs: string | null | undefined
  /** The record of a session that this request has created, or tried to. The client learns its id only with the answer. */
  begun: { key: string; ownerKey: string | undefined } | undefined
}

/** A new id for the session, stored when the request is saved. */
export interface Renewal {
  user: Readonly<SessionUser> | null
  /** Whether this key of the old record is kept. */
  keeps(key: string): boolean
  /** This request proved who the user is, so it does not matter whether the old session still exists. */
  isProved: boolean
}

export const SESSION: unique symbol = Symbol('session of the request')

declare module 'fastify' {
  interface FastifyRequest {
    [SESSION]: RequestSession | null
  }
}

export function sessionOf(request: FastifyRequest): RequestSession {
  const session = request[SESSION]
  if (!session) throw new Error('There is no session here: register the session plugin before the route.')
  session.isRead = true
  return session
}

export function userOf({ renewal, head }: RequestSession): Readonly<SessionUser> | null {
  return renewal ? renewal.user : (head?.user ?? null)
}

/**
 * Sets the user, which means a new id: an attacker who knew the old one (session fixation) cannot use it. Data of an
 * anonymous visitor is kept, data of another user is not.
 */
export function changeUser(session: RequestSession, user: SessionUser | null): void {
  const previous = userOf(session)
  const { keeps } = renewalOf(session)
  const isAnother = previous !== null && previous.id !== user?.id
  if (isAnother) session.copy.live.clear()
  session.renewal = {
    user: user && Object.freeze(user),
    keeps: isAnother ? () => false : keeps,
    isProved: true,
  }
}

/** Gives the session a new id. Only the named keys are kept; the user is the key `user`. */
export function changeId(session: RequestSession, keys: readonly string[]): void {
  const { keeps, isProved } = renewalOf(session)
  const user = keys.includes('user') ? userOf(session) : null
  const { live, text } = session.copy
  for (const key of live.keys()) if (!keys.includes(key)) live.delete(key)
  // Without a stored session there is no old id to replace.
  if (text === undefined && !user) return
  session.renewal = { user, keeps: (key) => keys.includes(key) && keeps(key), isProved }
}

function renewalOf(session: RequestSession): Renewal {
  return session.renewal ?? { user: userOf(session), keeps: () => true, isProved: false }
}

export function hasChanges({ renewal, copy, failure }: RequestSession): boolean {
  return !failure && (renewal !== undefined || changedLines(copy).length > 0)
}

/** Drops the changes that are not stored yet. */
export function dropChanges(session: RequestSession): void {
  discardChanges(session.copy)
  session.renewal = undefined
}

/** The request goes on without a session. */
export function becomeAnonymous(session: RequestSession): void {
  Object.assign(session, { id: '', head: null, copy: openCopy(), renewal: undefined, begun: undefined })
}

/** Work on sessions that a route started. */
interface OwnedWork {
  readonly ended: Promise<void>
  /** Its error, unless the route awaited it. */
  unseenFailure(): Error | undefined
}

/** A promise that knows whether its result is awaited. */
class Owned<T> extends Promise<T> {
  isAwaited = false

  // Promises that are derived from it are ordinary ones.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // oxlint-disable-next-line unicorn/no-thenable -- a promise is one
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isAwaited = true
    return super.then(onFulfilled, onRejected)
  }
}

/**
 * Ties work on sessions to the request that started it, even if the route does not await it. The answer waits for the work,
 * and a failure that was not awaited becomes the answer. It is logged instead if the answer was sent, or if the owner is an
 * app. It is never an unhandled rejection: otherwise one forgotten `await` would end the process while the store is away.
 */
export function ownWork<T>(owner: FastifyRequest | FastifyInstance, work: Promise<T>): Promise<T> {
  const session = 'raw' in owner ? owner[SESSION] : null
  const owned = new Owned<T>((resolve) => resolve(work))
  let failure: Error | undefined

  function fail(error: Error): void {
    failure = error
    if (!owned.isAwaited && (!session || session.isAnswered || session.reply.sent)) logUnseen(owner, error)
  }
  // Not `owned.then`, which would count as an await.
  Promise.prototype.then.call(owned, undefined, () => {})
  const ended = work.then(() => {}, fail)
  session?.owned.push({ ended, unseenFailure: () => (owned.isAwaited ? undefined : failure) })
  return owned
}

/** Waits for the route's work. A failure that was not awaited replaces an answer below 400; otherwise it is logged. */
export async function finishOwned(session: RequestSession): Promise<void> {
  while (session.owned.length > 0) {
    const batch = session.owned
    session.owned = []
    await Promise.all(batch.map(({ ended }) => ended))
    for (const { unseenFailure } of batch) {
      const error = unseenFailure()
      if (error && session.reply.statusCode >= 400) logUnseen(session.request, error)
      else if (error) session.failure ??= error
    }
  }
}

function logUnseen({ log }: FastifyRequest | FastifyInstance, error: Error): void {
  log.error({ err: error.cause ?? error }, 'work on a session failed, and nobody awaited it')
}
