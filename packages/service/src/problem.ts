import { STATUS_CODES } from 'node:http'
import type { FastifySchemaValidationError } from 'fastify'
import { Type } from 'typebox'
import * as errors from './errors.ts'

/** A problem document: an error as a client sees it. @see RFC 9457 */
export interface Problem {
  type: 'about:blank'
  /** The status text of HTTP. */
  title: string
  status: number
  /** One sentence for a person. */
  detail: string
  /** For programs: does not change when the texts change. */
  code: string
  requestId?: string
  /** The invalid places: a JSON pointer into the body, or the name of a parameter. */
  errors?: ({ pointer: string; detail: string } | { parameter: string; detail: string })[]
}

export const PROBLEM_TYPE = 'application/problem+json'

/** Our errors for Fastify's own client errors, whose texts are about Fastify. */
const translations: Record<string, new () => Error> = {
  FST_ERR_BAD_URL: errors.UrlMalformed,
  FST_ERR_MAX_PARAM_LENGTH: errors.UrlTooLong,
  FST_ERR_CTP_BODY_TOO_LARGE: errors.BodyTooLarge,
  FST_ERR_CTP_EMPTY_JSON_BODY: errors.BodyMalformed,
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: errors.BodyMalformed,
  FST_ERR_CTP_INVALID_JSON_BODY: errors.BodyMalformed,
  FST_ERR_CTP_INVALID_MEDIA_TYPE: errors.MediaTypeUnsupported,
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: errors.MediaTypeUnsupported,
  FST_ERR_HANDLER_TIMEOUT: errors.HandlerTimeout,
  FST_ERR_VALIDATION: errors.RequestInvalid,
}

/** The parts of an error that its answer uses. All are optional, because any value may be thrown. */
export interface Answerable {
  statusCode?: number
  code?: string
  message?: string
  headers?: Record<string, string>
  validation?: FastifySchemaValidationError[]
  validationContext?: string
}

/** For example, a service behind this one does not answer. Such errors are meant for the client, like a 4xx. */
const GATEWAY_STATUSES = new Set([501, 502, 503, 504])

/**
 * Returns the problem document of an error. Code and message of an error with a 4xx status, or 501 to 504, are meant for the
 * client. Any other error becomes INTERNAL_ERROR, because its message may contain internals.
 */
export function toProblem(thrown: unknown, requestId?: string): Problem {
  const error = Object(thrown) as Answerable
  const translation = translations[error.code ?? '']
  const isMeant = isClientStatus(error.statusCode) || GATEWAY_STATUSES.has(error.statusCode!)
  const spoken: Answerable = translation ? new translation() : isMeant ? error : new errors.InternalError()
  const status = spoken.statusCode!

  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: spoken.message || new errors.RequestRefused().message,
    code: spoken.code ?? new errors.RequestRefused().code,
    ...(requestId && { requestId }),
    ...(error.validation && { errors: locate(error.validation, error.validationContext) }),
  }
}

function isClientStatus(status = 0): boolean {
  return status >= 400 && status < 500
}

/** Lists the invalid places of the request. The messages are about the schema and never repeat values. */
function locate(mistakes: FastifySchemaValidationError[], part = 'body'): NonNullable<Problem['errors']> {
  const details = new Map<string, string>()
  for (const { keyword, instancePath, params, message = 'is not valid' } of mistakes) {
    if (keyword === 'required') {
      for (const name of params.requiredProperties as string[])
        details.set(`${instancePath}/${name}`, 'is required')
    } else if (keyword === 'additionalProperties') {
      for (const name of params.additionalProperties as string[])
        details.set(`${instancePath}/${name}`, 'is unknown')
    } else {
      details.set(instancePath, message)
    }
  }
  return [...details].map(([path, detail]) =>
    part === 'body' ? { pointer: `#${path}`, detail } : { parameter: path.split('/')[1] ?? part, detail },
  )
}

/** A problem document, in the words of OpenAPI. @see RFC 9457 */
const ProblemSchema = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String({ description: 'One sentence for a person' }),
  code: Type.String({ description: 'For programs' }),
  requestId: Type.Optional(Type.String()),
  errors: Type.Optional(Type.Array(Type.Object({}, { additionalProperties: true }))),
})

/**
 * Returns entries for the `response` schema of a route, so that the OpenAPI document lists the errors that it throws:
 * `response: { 201: Order, ...problemResponses(OrderTaken) }`.
 *
 * Its type has no entries, because errors are thrown: the handler returns what the rest of `response` allows.
 */
export function problemResponses(...errors: (new (...parameters: never[]) => Error)[]): object {
  const made = errors.map(
    (MadeBy) => new (MadeBy as new () => Error)() as Error & { statusCode: number; code: string },
  )
  const byStatus = Map.groupBy(made, ({ statusCode }) => statusCode)
  return Object.fromEntries(
    [...byStatus].map(([status, ofStatus]) => {
      const sentences = ofStatus.map(
        ({ code, message }) => `\`${code}\`: ${message.replaceAll(/%[sdjo]/g, '…')}`,
      )
      return [
        status,
        { description: sentences.join('\n'), content: { [PROBLEM_TYPE]: { schema: ProblemSchema } } },
      ]
    }),
  )
}
