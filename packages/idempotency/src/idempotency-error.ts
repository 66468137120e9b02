import createError from '@fastify/error'

export const IdempotencyKeyMissing = createError(
  'IDEMPOTENCY_KEY_MISSING',
  'This request needs the header Idempotency-Key, so that it can be repeated safely.',
  400,
)
export const IdempotencyKeyInvalid = createError(
  'IDEMPOTENCY_KEY_INVALID',
  'Idempotency-Key is one string of 1 to 255 ASCII characters in double quotes, such as a UUID: "8e03978e-40d5-43e8-bc93-6894a57f9324".',
  400,
)
/** Has the header `retry-after`. */
export const IdempotencyKeyInUse = createError(
  'IDEMPOTENCY_KEY_IN_USE',
  'The first request with this Idempotency-Key is not answered yet. Please repeat this one in a moment.',
  409,
)
export const IdempotencyKeyReused = createError(
  'IDEMPOTENCY_KEY_REUSED',
  'This Idempotency-Key belongs to another request, with another address or body.',
  422,
)

/** A mistake in the handler, or in what it returns. Its transaction is rolled back. */
export const IdempotencyMisused = createError('IDEMPOTENCY_MISUSED', '%s %s: %s', 500)

/** At boot: the `config.idempotency` of a route cannot work. */
export const IdempotencyInvalid = createError('IDEMPOTENCY_INVALID', '%s %s: config.idempotency: %s.', 500)
