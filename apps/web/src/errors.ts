import createError from '@fastify/error'

// Every error that the edge itself can answer with. The table in README.md is checked against this file.

export { ServiceBroke, ServiceTimeout, ServiceUnavailable } from '@repo/calls'

export const PathRejected = createError('PATH_REJECTED', 'This path can be read in more than one way.', 400)
export const RequestRejected = createError('REQUEST_REJECTED', 'This request cannot be forwarded: %s.', 400)
export const ServiceUnknown = createError('SERVICE_UNKNOWN', 'No service answers this path.', 404)
export const UpgradeUnsupported = createError(
  'UPGRADE_UNSUPPORTED',
  'WebSockets are not supported here. Use an event stream instead.',
  501,
)
