import createError from '@fastify/error'

// Every error with which this package answers by itself. A test compares the table in README.md with this file.

export const BodyMalformed = createError('BODY_MALFORMED', 'The body is not what its headers say it is.', 400)
export const BodyTooLarge = createError('BODY_TOO_LARGE', 'The body is larger than this route accepts.', 413)
export const EncodingUnsupported = createError(
  'ENCODING_UNSUPPORTED',
  'The body must not be compressed.',
  415,
)
export const EventStreamsExhausted = createError(
  'EVENT_STREAMS_EXHAUSTED',
  'This process has no room for another event stream. Please try again.',
  503,
)
export const HandlerTimeout = createError(
  'HANDLER_TIMEOUT',
  'The answer took longer than this route allows.',
  503,
)
export const HeadersTooLarge = createError('HEADERS_TOO_LARGE', 'The headers are larger than 16 KiB.', 431)
export const HostRejected = createError(
  'HOST_REJECTED',
  'This process is in development, and does not answer for that host.',
  421,
)
export const InternalError = createError('INTERNAL_ERROR', 'Something went wrong on our side.', 500)
export const MediaTypeUnsupported = createError(
  'MEDIA_TYPE_UNSUPPORTED',
  'This route does not accept the content type of the body.',
  415,
)
export const MethodNotAllowed = createError(
  'METHOD_NOT_ALLOWED',
  'This path does not support that method.',
  405,
)
export const NotReady = createError('NOT_READY', 'This process does not take requests now.', 503)
export const OriginRejected = createError(
  'ORIGIN_REJECTED',
  'A request that changes something must come from our own pages.',
  403,
)
export const RequestInvalid = createError(
  'REQUEST_INVALID',
  'The request does not match the schema of this route.',
  400,
)
export const RequestMalformed = createError('REQUEST_MALFORMED', 'This is not a valid HTTP request.', 400)
export const RequestRefused = createError('REQUEST_REFUSED', 'The request was refused.', 400)
export const RequestTimeout = createError('REQUEST_TIMEOUT', 'The request took too long to arrive.', 408)
export const RouteNotFound = createError('ROUTE_NOT_FOUND', 'There is nothing at this path.', 404)
export const UrlMalformed = createError('URL_MALFORMED', 'The path cannot be decoded.', 400)
export const UrlTooLong = createError('URL_TOO_LONG', 'A part of the path is too long.', 414)
