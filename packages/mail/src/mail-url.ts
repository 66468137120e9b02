import { MailUrlInvalid } from './mail-error.ts'

/** Where mails are sent, and how the connection is encrypted. */
export interface MailServer {
  host: string
  port: number
  /** `implicit` from the first byte on; `required` and `offered` by STARTTLS; `off` never. */
  tls: 'implicit' | 'required' | 'offered' | 'off'
  login?: { user: string; pass: string }
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1'])

/**
 * Parses `smtp://user:password@host:587` and `smtps://user:password@host:465`; these ports are the defaults. Special
 * characters in the login are percent-encoded.
 *
 * With `smtps:` the connection begins with TLS. With `smtp:` the server must offer STARTTLS. Only on loopback may it do
 * without, and where the URL ends with `?tls=off`: for a relay in a private network, and never with a login.
 *
 * @throws MAIL_URL_INVALID
 * @see https://www.rfc-editor.org/rfc/rfc8314 for the ports and for implicit TLS
 */
export function parseMailUrl(text: string): MailServer {
  const url = URL.parse(text)
  if (!url || !['smtp:', 'smtps:'].includes(url.protocol)) {
    throw new MailUrlInvalid('a URL that starts with smtp:// or smtps://')
  }
  const { protocol, hostname, port, pathname, search, hash } = url
  if (!hostname) throw new MailUrlInvalid('a host')
  if (!['', '/'].includes(pathname) || hash) throw new MailUrlInvalid('nothing after the host and port')
  if (!['', '?tls=off'].includes(search)) throw new MailUrlInvalid('no setting but ?tls=off')
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const isOff = search !== ''
  const isImplicit = protocol === 'smtps:'
  if (isImplicit && isOff) throw new MailUrlInvalid('smtp:// with ?tls=off, or smtps:// without')
  const login = readLogin(url)
  if (isOff && login && !LOOPBACK.has(host)) throw new MailUrlInvalid('no login where TLS is off')
  const startTls = LOOPBACK.has(host) ? 'offered' : 'required'
  return {
    host,
    port: Number(port || (isImplicit ? 465 : 587)),
    tls: isImplicit ? 'implicit' : isOff ? 'off' : startTls,
    ...(login && { login }),
  }
}

function readLogin({ username, password }: URL): MailServer['login'] {
  if (!username && !password) return undefined
  if (!username || !password) throw new MailUrlInvalid('a login of a user and a password')
  try {
    return { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
  } catch {
    throw new MailUrlInvalid('a login: "%" is written %25')
  }
}
