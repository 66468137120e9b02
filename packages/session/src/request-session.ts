import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { changedLines, discardChanges, openCopy } from './record.ts'
import type { RecordCopy, RecordHead, SessionUser } from './record.ts'
import type { SessionStore } from './store.ts'

/** What all requests of a service share. */
export interface SessionPolicy {
  store: SessionStore
  idleMs: number
  absoluteMs: number
  maxPerUser: number
  /** The value of the cookie that carries this id. */
  sign(id: string): string
}

/** The session of one request: the record that came with it, and what the request does to it. */
export interface RequestSession {
  readonly policy: SessionPolicy
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Empty while nothing is stored. */
  id: string
  head: RecordHead | null
  copy: RecordCopy
  /** Set while the session is to get a new id. */
  renewal: Renewal | undefined
  /** The session has ended, or the store failed: nothing of this request is stored any more. */
  failure: Error | undefined
  isSignedOut: boolean
  /** The browser does not have the cookie of this session, or has one that the newest secret has not signed. */
  isCookieDue: boolean
  /** An error was thrown, and the answer tells it. */
  hasThrown: boolean
  /** Something was read of the session, so the answer is for one person. */
  isRead: boolean
  /** The answer waits for what is being stored. */
  isAnswering: boolean
  isAnswered: boolean
  /** The work that the route has asked for. The answer waits for it. */
  owned: OwnedWork[]
  /** The last of the writes of this request; they happen one after the other. */
  turn: Promise<void> | undefined
  /** Whose session came with the request: null for an anonymous one, undefined for none. */
  readonly cameAs: string | null | undefined
  /** The record of a session that this request has begun, or tried to: only its answer makes it somebody's. */
  begun: { key: string; ownerKey: string | undefined } | undefined
}

/** A new id for the session, stored when the request is saved. */
export interface Renewal {
  user: Readonly<SessionUser> | null
  /** Of what the old record holds. */
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
 * Another person means another id: whoever knew the old one (session fixation) knows nothing. What an anonymous
 * visitor had goes along; what belonged to another person does not.
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

/** A new id; of user and data it keeps what is named. */
export function changeId(session: RequestSession, keys: readonly string[]): void {
  const { keeps, isProved } = renewalOf(session)
  const user = keys.includes('user') ? userOf(session) : null
  const { live, text } = session.copy
  for (const key of live.keys()) if (!keys.includes(key)) live.delete(key)
  // Without a session there is no id that anybody could know.
  if (text === undefined && !user) return
  session.renewal = { user, keeps: (key) => keys.includes(key) && keeps(key), isProved }
}

function renewalOf(session: RequestSession): Renewal {
  return session.renewal ?? { user: userOf(session), keeps: () => true, isProved: false }
}

export function hasChanges({ renewal, copy, failure }: RequestSession): boolean {
  return !failure && (renewal !== undefined || changedLines(copy).length > 0)
}

/** Forgets what the request has changed and not stored yet. */
export function dropChanges(session: RequestSession): void {
  discardChanges(session.copy)
  session.renewal = undefined
}

/** The request goes on without a session. */
export function becomeAnonymous(session: RequestSession): void {
  Object.assign(session, { id: '', head: null, copy: openCopy(), renewal: undefined, begun: undefined })
}

/** Work on sessions that a route has asked for. */
interface OwnedWork {
  readonly ended: Promise<void>
  /** Its error, unless somebody awaited it. */
  unseenFailure(): Error | undefined
}

/** A promise that knows whether anybody waits for its result. */
class Owned<T> extends Promise<T> {
  isAwaited = false

  // What is derived from it is an ordinary promise.
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
 * Work on sessions belongs to the request that asked for it, whether or not its route awaits it: the answer waits for the
 * work, and a failure that nobody awaited becomes the answer. If there is no answer to decide (it has been sent, or an app
 * asked and not a request), the failure is logged. It is never an unhandled rejection: while the store is away, one
 * forgotten `await` would end the process.
 */
export function ownWork<T>(owner: FastifyRequest | FastifyInstance, work: Promise<T>): Promise<T> {
  const session = 'raw' in owner ? owner[SESSION] : null
  const owned = new Owned<T>((resolve) => resolve(work))
  let failure: Error | undefined

  function fail(error: Error): void {
    failure = error
    if (!owned.isAwaited && (!session || session.isAnswered || session.reply.sent)) logUnseen(owner, error)
  }
  // Not `owned.then`, which would count as somebody who awaits it.
  Promise.prototype.then.call(owned, undefined, () => {})
  const ended = work.then(() => {}, fail)
  session?.owned.push({ ended, unseenFailure: () => (owned.isAwaited ? undefined : failure) })
  return owned
}

/** Waits for what the route has asked for. A failure that nobody awaited fails an answer that says all is well. */
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
