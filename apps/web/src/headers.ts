import type { FastifyRequest } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'
import { isRead } from './exchange.ts'

/** They speak of one connection, not of the message. @see RFC 9110, 7.6.1 */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What a client could say about itself in our name: a service that trusts us must hear it from us alone. */
const OURS_TO_SAY = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/

type Headers = Record<string, string | string[]>

/** What is left of a message's headers when it goes on to the next connection. */
export function endToEnd(headers: IncomingHttpHeaders): Headers {
  // A set, and no regular expression: 16 KiB of headers can name thousands, and as many spaces between them.
  const named = new Set(
    headers.connection
      ?.toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  )
  const kept: Headers = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name) && !named.has(name)) kept[name] = value
  }
  return kept
}

/** Whether a body follows the headers. Without one of these two there is none. @see RFC 9112, 6.3 */
export function hasBody({ method, raw: { headers } }: FastifyRequest): boolean {
  if (isRead(method)) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * The headers of a request on its way to a service. Who asked, by which protocol and for which host is told in
 * `x-forwarded-*`; what the client itself says there counts only as far as TRUST_PROXY goes, which is what
 * Fastify's `ips`, `protocol` and `host` stand for.
 */
export function headersForService(request: FastifyRequest, host: string): Headers {
  const headers = endToEnd(request.raw.headers)
  for (const name in headers) if (OURS_TO_SAY.test(name)) delete headers[name]
  if (!hasBody(request)) delete headers['content-length']
  // Node has already answered it with "100 Continue".
  delete headers.expect

  headers.host = host
  headers['x-forwarded-for'] = request.ips?.toReversed().join(', ') ?? request.ip
  headers['x-forwarded-proto'] = request.protocol
  headers['x-forwarded-host'] = request.host
  headers['x-request-id'] = request.id
  headers.traceparent = request.trace.traceparent
  return headers
}
