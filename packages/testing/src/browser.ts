import { randomInt } from 'node:crypto'
import type { RequestInit, Response } from 'undici'

export type FleetResponse = Response
export interface FleetRequest extends Omit<RequestInit, 'headers'> {
  headers?: Record<string, string>
  /** Sent as JSON. */
  json?: unknown
  /** Sends the request to this process (from 1) and not to the next one. */
  process?: number
}

/**
 * The browser of one user. It keeps cookies as browsers do, and sends the origin of its requests. Each has its own address,
 * as behind a load balancer, so that limits per network do not count all tests together.
 */
export interface Browser {
  request(path: string, init?: FleetRequest): Promise<FleetResponse>
  /** The cookies it holds, by name. */
  readonly cookies: Map<string, string>
}

export function openBrowser(send: Browser['request'], origin: string): Browser {
  const cookies = new Map<string, string>()
  const address = randomAddress()

  async function request(path: string, init: FleetRequest = {}): Promise<FleetResponse> {
    const headers = new Headers(init.headers)
    const cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join('; ')
    if (cookie && !headers.has('cookie')) headers.set('cookie', cookie)
    if (!headers.has('x-forwarded-for')) headers.set('x-forwarded-for', address)
    if (!headers.has('sec-fetch-site')) headers.set('sec-fetch-site', 'same-origin')
    const isWrite = !['GET', 'HEAD'].includes(init.method ?? 'GET')
    if (isWrite && !headers.has('origin')) headers.set('origin', origin)
    const response = await send(path, { ...init, headers: Object.fromEntries(headers) })
    for (const line of response.headers.getSetCookie()) keep(line)
    return response
  }

  function keep(line: string): void {
    const [pair = '', ...rest] = line.split(';')
    const name = pair.slice(0, pair.indexOf('=')).trim()
    const attributes = new Map(
      rest.map((part) => {
        const [key = '', value = ''] = part.split('=')
        return [key.trim().toLowerCase(), value.trim()]
      }),
    )
    // Browsers silently drop a `__Host-` cookie without these attributes.
    // https://www.rfc-editor.org/rfc/rfc6265bis#name-the-__host-prefix
    const keepsPromise =
      attributes.has('secure') && attributes.get('path') === '/' && !attributes.has('domain')
    if (name.startsWith('__Host-') && !keepsPromise) return
    if (isExpired(attributes)) cookies.delete(name)
    else cookies.set(name, pair.slice(pair.indexOf('=') + 1).trim())
  }

  return { request, cookies }
}

/** A random address of the range that is reserved for network tests. @see RFC 2544, appendix C.2.2 */
function randomAddress(): string {
  return `198.${randomInt(18, 20)}.${randomInt(256)}.${randomInt(256)}`
}

function isExpired(attributes: Map<string, string>): boolean {
  const maxAge = attributes.get('max-age')
  if (maxAge !== undefined) return Number(maxAge) <= 0
  const expires = attributes.get('expires')
  return expires !== undefined && Date.parse(expires) <= Date.now()
}
