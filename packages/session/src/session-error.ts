import { createError } from '@fastify/error'

// Anybody can cause this answer a thousand times a second, and its cause is not a line of code.
const NO_STACK = false

/** No user is signed in, on a route for users. */
export const SignedOut = createError('SIGNED_OUT', 'Please sign in.', 401, Error, NO_STACK)

/** The signed-in user does not have the role that the route asks for. */
export const RoleMissing = createError('ROLE_MISSING', 'You may not do this.', 403, Error, NO_STACK)

/** On a `fresh-user` route: the user has not proved for a while who they are. The client asks for the password. */
export const SessionNotFresh = createError(
  'SESSION_NOT_FRESH',
  'Please prove that it is you, with your password.',
  403,
  Error,
  NO_STACK,
)

/** The session ended (sign-out, expiry, a new id) during this request. Nothing of the request was stored. */
export const SessionGone = createError('SESSION_GONE', 'This session has ended. Please sign in again.', 401)

/** The key is the name of a method. `session.set(key, value)` takes any key. */
export const SessionKeyReserved = createError('SESSION_KEY_RESERVED', 'The session key %s is reserved.', 400)

/** `session.update` met another writer in each of its hundred attempts. */
export const SessionBusy = createError('SESSION_BUSY', 'Too many changes at once. Please try again.', 503)

/** The store did not answer in time, or refused. The outcome of a write is then unknown. */
export const StoreUnavailable = createError(
  'SESSION_STORE_UNAVAILABLE',
  'Sessions are not available right now. Please try again.',
  503,
)

/** At boot: `SESSION_STORE_URL` has a scheme without a driver. */
export const StoreUnknown = createError(
  'SESSION_STORE_UNKNOWN',
  'SESSION_STORE_URL: there is no session store for "%s:". There are: %s.',
  500,
)

/** At boot: a part of the URL is invalid. The message does not repeat it, because the URL may contain a password. */
export const StoreUrlInvalid = createError(
  'SESSION_STORE_URL_INVALID',
  'SESSION_STORE_URL lacks a part, or has it in the wrong place: %s.',
  500,
)

/** At boot, or when the store becomes available later: its version is too old. */
export const StoreUnsuitable = createError('SESSION_STORE_UNSUITABLE', 'The session store is %s.', 500)

/** At boot: a secret is missing or too short. */
export const SecretsWeak = createError(
  'SESSION_SECRETS_WEAK',
  'SESSION_SECRETS: at least one secret is needed, each of 32 characters or more.',
  500,
)

/** With `Retry-After: 1`. The client learns nothing about the store; the cause is for the log. */
export function storeUnavailable(cause: unknown): Error {
  return Object.assign(new StoreUnavailable({ cause }), { headers: { 'retry-after': '1' } })
}

/** With `Retry-After: 1`. */
export function sessionBusy(): Error {
  return Object.assign(new SessionBusy(), { headers: { 'retry-after': '1' } })
}
