import type { IncomingMessage } from 'node:http'
import { HostRejected, RequestMalformed } from './errors.ts'
import type { ServiceEnv } from './service-env.ts'

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
