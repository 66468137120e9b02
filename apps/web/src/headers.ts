import { isRead } from '@repo/calls'
import type { FastifyRequest } from 'fastify'
import type { IncomingHttpHeaders } from 'node:http'

/** Headers of one connection, not of the message. @see RFC 9110, 7.6.1 */
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

/**
 * Headers that a service must not get from a client: only the edge says where a request is from, and only services have tokens
 * of services.
 */
const OURS_TO_SAY = /^(?:forwarded|x-forwarded-.*|x-real-ip|x-service-token)$/

type Headers = Record<string, string | string[]>

/** The headers of a message that are passed on to the next connection. */
export function endToEnd(headers: IncomingHttpHeaders): Headers {
  // A set, and no regular expression: 16 KiB of headers can have thousands of names, and as many spaces between them.
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

/** Whether the request has a body. Without one of these two headers there is none. @see RFC 9112, 6.3 */
export function hasBody({ method, raw: { headers } }: FastifyRequest): boolean {
  if (isRead(method)) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * The headers of a request on its way to a service. `x-forwarded-*` tell the address of the client, the protocol and the
 * host. What the client itself sends there counts only as far as TRUST_PROXY allows, which Fastify's `ips`, `protocol` and
 * `host` take into account.
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
