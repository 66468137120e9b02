import type { IncomingMessage } from 'node:http'

const ABSOLUTE_FORM = /^https?:\/\/([^/?#@\\\s]+)(?![^/?])(.*)$/i

/**
 * The path and query that a request asks for, or `*`. A target in absolute form, as clients send it to a proxy, names the
 * host itself, and the Host header then counts for nothing: it is replaced.
 *
 * @see RFC 9112, 3.2.2 and 3.2.4
 */
export function readTarget(request: IncomingMessage): string {
  const { url = '/', method } = request
  const [, host, rest = ''] = ABSOLUTE_FORM.exec(url) ?? []
  if (host === undefined) return url
  request.headers.host = host
  if (rest === '' && method === 'OPTIONS') return '*'
  return rest.startsWith('/') ? rest : `/${rest}`
}
