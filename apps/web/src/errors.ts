import createError from '@fastify/error'

// Every error that the edge itself can answer with. The table in README.md is checked against this file.

export const PathRejected = createError('PATH_REJECTED', 'This path can be read in more than one way.', 400)
export const RequestRejected = createError('REQUEST_REJECTED', 'This request cannot be passed on: %s.', 400)
export const ServiceUnknown = createError('SERVICE_UNKNOWN', 'No service answers this path.', 404)
export const ServiceUnavailable = createError(
  'SERVICE_UNAVAILABLE',
  'This service cannot be reached right now. Try again in a moment.',
  503,
)
export const UpgradeUnsupported = createError(
  'UPGRADE_UNSUPPORTED',
  'No WebSocket passes here: what a server has to tell comes as an event stream.',
  501,
)
export const ServiceBroke = createError(
  'SERVICE_BROKE_OFF',
  'The service broke off before it had answered; whether it did what was asked is not known.',
  502,
)
export const ServiceTimeout = createError('SERVICE_TIMEOUT', 'The service did not answer in time.', 504)
