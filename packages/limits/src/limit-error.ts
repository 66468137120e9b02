import createError from '@fastify/error'

// No stack trace: clients can cause this error a thousand times a second, and its cause is not in the code.
const NO_STACK = false

/** Has the header `retry-after`. */
export const LimitReached = createError(
  'LIMIT_REACHED',
  'Too many requests. Please try again later.',
  429,
  Error,
  NO_STACK,
)

/** The requests of a route cannot be counted now, and the route has `whenAway: 'refuse'`. */
export const LimitStoreUnavailable = createError(
  'LIMIT_STORE_UNAVAILABLE',
  'Requests cannot be counted right now. Please try again.',
  503,
)

/** At boot: the `config.limit` of a route cannot work. */
export const LimitInvalid = createError('LIMIT_INVALID', '%s %s: config.limit: %s.', 500)
