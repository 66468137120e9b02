import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { HostRejected, OriginRejected, RequestMalformed } from './errors.ts'
import type { ServiceEnv } from './service-env.ts'

const ABSOLUTE_FORM = /^https?:\/\/([^/?#@\\\s]+)(?![^/?])(.*)$/i

/**
 * Returns the path and query of a request, or `*`. A target in absolute form, as clients send it to a proxy, contains the
 * host: it replaces the Host header.
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

/** @see RFC 3986, 3.2.2 and 3.2.3 */
const HOST = /^(\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?$/i

/**
 * The headers with the host, the credentials and the type of a request. They must not be repeated: Node silently keeps the
 * first of two, and a proxy may have used the other. Node itself refuses two Content-Length headers.
 */
const SINGLETONS = new Set(['host', 'authorization', 'content-type'])

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i

/**
 * Returns the error for a request that is refused before any other check: its host is missing, invalid or repeated, or one
 * of the other headers above is repeated; or, in development, it is not a host of this process.
 *
 * The last is against DNS rebinding: the host name of a page that a developer has open may resolve to 127.0.0.1, and the
 * page could then read the answers of a process there.
 *
 * @see RFC 9112, 3.2
 */
export function createHostCheck({
  NODE_ENV,
  PUBLIC_ORIGIN,
}: ServiceEnv): (raw: IncomingMessage) => Error | undefined {
  const ours = new URL(PUBLIC_ORIGIN).hostname

  return ({ headers: { host }, rawHeaders, httpVersion }) => {
    if (host === undefined) return httpVersion === '1.1' ? new RequestMalformed() : undefined
    const [, name] = HOST.exec(host) ?? []
    if (name === undefined || isRepeated(rawHeaders)) return new RequestMalformed()
    const isForUs = NODE_ENV !== 'development' || LOOPBACK.test(name) || name.toLowerCase() === ours
    return isForUs ? undefined : new HostRejected()
  }
}

function isRepeated(rawHeaders: readonly string[]): boolean {
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (!SINGLETONS.has(name)) continue
    if (seen.has(name)) return true
    seen.add(name)
  }
  return false
}

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'QUERY', 'TRACE'])

/**
 * Refuses requests that a page of another site makes a browser send with the user's cookies. Browsers send `Origin` and
 * `Sec-Fetch-Site`, which pages cannot forge. Programs such as curl send neither and have no user's cookies, so they pass.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
 */
export function checkOrigin(app: FastifyInstance, origins: readonly string[]): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { origin, 'sec-fetch-site': site } = request.headers
    const isOurs =
      SAFE_METHODS.has(request.method) ||
      (origin !== undefined && origins.includes(origin)) ||
      site === 'same-origin' ||
      site === 'none' ||
      (site === undefined && origin === undefined)
    done(isOurs ? undefined : new OriginRejected())
  })
}
