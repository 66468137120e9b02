import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { HostRejected, OriginRejected, RequestMalformed } from './errors.ts'
import type { ServiceEnv } from './service-env.ts'

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

/** @see RFC 3986, 3.2.2 and 3.2.3 */
const HOST = /^(\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::\d*)?$/i

/**
 * Headers that say for whom, by whom and what a request is. Node keeps the first of two and drops the other without a
 * word, and what stands in front may have read the other. Of Content-Length Node itself refuses two.
 */
const SINGLETONS = new Set(['host', 'authorization', 'content-type'])

const LOOPBACK = /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i

/**
 * Says why a request is refused before anything else looks at it, if it is: it has no host, a host that is none,
 * or two; or, in development, the host of somebody else.
 *
 * The last is against DNS rebinding: a page that a developer has open may let its own name lead to 127.0.0.1, and
 * read all that a process there answers.
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
 * Refuses what another site's page makes a browser send in our user's name. Browsers say where a request comes
 * from and pages cannot forge it; programs such as curl say nothing, hold nobody's cookies, and pass.
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
