import createError from '@fastify/error'

// An answer that a stranger can ask for a thousand times a second, and whose cause is no line of code.
const NO_STACK = false

/** With `retry-after`. */
export const LimitReached = createError(
  'LIMIT_REACHED',
  'Too many requests. Please try again later.',
  429,
  Error,
  NO_STACK,
)

/** The requests of a route cannot be counted now, and the route does without none: `whenAway: 'refuse'`. */
export const LimitStoreUnavailable = createError(
  'LIMIT_STORE_UNAVAILABLE',
  'Requests cannot be counted right now. Please try again.',
  503,
)

/** At boot: a route's `config.limit` cannot be kept as it stands. */
export const LimitInvalid = createError('LIMIT_INVALID', '%s %s: config.limit: %s.', 500)
