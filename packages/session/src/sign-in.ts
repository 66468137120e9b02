import type { FastifyRequest } from 'fastify'
import { ownWork } from './owned-work.ts'
import type { SessionUser } from './record.ts'
import { SignedOut } from './session-error.ts'
import { changeUser, endSession, stateOf, userOf } from './session-state.ts'

/** Who is signed in. @throws SIGNED_OUT */
export function currentUser(request: FastifyRequest): Readonly<SessionUser> {
  const user = userOf(stateOf(request))
  if (!user) throw new SignedOut()
  return user
}

/**
 * Signs a person in: the session gets a new id (the old one is dead), keeps what an anonymous visitor had put into it,
 * and appears on the person's list with time and user agent. It is stored when the request is answered. An answer of 500
 * or more, and the answer to an error that was thrown, signs nobody in, also when the session was saved already.
 */
export function signIn(request: FastifyRequest, user: SessionUser): Promise<void> {
  changeUser(stateOf(request), user)
  return Promise.resolve()
}

/**
 * Ends the session, at once: when this resolves no process knows it any more, and a request that is still under way with
 * it can store nothing. The answer clears the cookie.
 *
 * @throws SESSION_STORE_UNAVAILABLE
 */
export function signOut(request: FastifyRequest): Promise<void> {
  return ownWork(request, endSession(stateOf(request)))
}
