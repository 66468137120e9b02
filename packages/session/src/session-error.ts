import { createError } from '@fastify/error'

// An answer that a stranger can ask for a thousand times a second, and whose cause is no line of code.
const NO_STACK = false

/** Nobody is signed in, on a route for signed-in people. */
export const SignedOut = createError('SIGNED_OUT', 'Please sign in.', 401, Error, NO_STACK)

/** The session ended (sign-out, expiry, a new id) while this request was under way; nothing of it was stored. */
export const SessionGone = createError('SESSION_GONE', 'This session has ended. Please sign in again.', 401)

/** The key is the name of a method: `session.set(key, value)` takes any key. */
export const SessionKeyReserved = createError('SESSION_KEY_RESERVED', 'The session key %s is reserved.', 400)

/** `session.update` lost against other writers a hundred times in a row. */
export const SessionBusy = createError('SESSION_BUSY', 'Too many changes at once. Please try again.', 503)

/** The store did not answer in time, or refused. After a write its outcome is unknown. */
export const StoreUnavailable = createError(
  'SESSION_STORE_UNAVAILABLE',
  'Sessions are not available right now. Please try again.',
  503,
)

/** At boot: `SESSION_STORE_URL` names no store we know. */
export const StoreUnknown = createError(
  'SESSION_STORE_UNKNOWN',
  'SESSION_STORE_URL: there is no session store for "%s:". There are: %s.',
  500,
)

/** At boot: what the URL says where it should name something; it is not repeated, for there are passwords in it. */
export const StoreUrlInvalid = createError(
  'SESSION_STORE_URL_INVALID',
  'SESSION_STORE_URL does not say what is expected in its place: %s.',
  500,
)

/** At boot, or when the store comes up later: it is there, but too old. */
export const StoreUnsuitable = createError('SESSION_STORE_UNSUITABLE', 'The session store is %s.', 500)

/** At boot: a secret is missing or too short. */
export const SecretsWeak = createError(
  'SESSION_SECRETS_WEAK',
  'SESSION_SECRETS: at least one secret is needed, each of 32 characters or more.',
  500,
)

/** The client is told when to come back, and nothing about what stands behind the service. */
export function storeUnavailable(cause: unknown): Error {
  return Object.assign(new StoreUnavailable({ cause }), { headers: { 'retry-after': '1' } })
}

/** @see {@link storeUnavailable} */
export function sessionBusy(): Error {
  return Object.assign(new SessionBusy(), { headers: { 'retry-after': '1' } })
}
