import createError from '@fastify/error'

// What a service fails with that does not get an answer from another one. The edge answers its clients with the same.

export const ServiceUnavailable = createError(
  'SERVICE_UNAVAILABLE',
  'This service cannot be reached right now. Try again in a moment.',
  503,
)
/** This process has too many calls to the service under way, because it answers slowly. */
export const ServiceBusy = createError(
  'SERVICE_BUSY',
  'This service has too much to do right now. Try again in a moment.',
  503,
)
export const ServiceBroke = createError(
  'SERVICE_BROKE_OFF',
  'The service stopped before it had answered. It is not known whether it did what was asked.',
  502,
)
export const ServiceTimeout = createError('SERVICE_TIMEOUT', 'The service did not answer in time.', 504)

// keep: calls
/** At boot. */
export const CallSecretsWeak = createError(
  'CALL_SECRETS_WEAK',
  'There must be a secret, and each must have at least 32 characters.',
  500,
)
// /keep
