import {
  createHmac,
  createSecretKey,
  hash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import { SecretsWeak } from './session-error.ts'

// 192 random bits, the absolute deadline, and a signature for each secret. What has another form is not even verified.
const FORM = /^[\w-]{32}\.[0-9a-z]{8,10}(?:\.[\w-]{43})+$/
const DEADLINE_AT = 33

/** What @fastify/session asks of a signer. */
export interface CookieSigner {
  sign(id: string): string
  /**
   * What `unsign` accepted last. @fastify/session signs each id again once its record is loaded; a caller who keeps this
   * over the wait and puts it back saves that second signature, the dearest step of a read after the store.
   */
  accepted: { id: string; cookie: string } | undefined
  unsign(cookie: string): { valid: boolean; renew: boolean; value: string | null }
}

/**
 * An id carries its own absolute deadline. The cookie's signature makes it trustworthy, so a read can give the
 * record exactly the time it may still have, in the same single command that fetches it.
 */
export function newSessionId(absoluteMs: number): string {
  return `${randomBytes(24).toString('base64url')}.${(Date.now() + absoluteMs).toString(36)}`
}

/**
 * What browsers know a cookie of one host by: `__Host-session` over https, and in development `session-3000`, since cookies know
 * no ports, and `session` on localhost is everybody's.
 *
 * @param origin what the browser sees
 * @see RFC 6265bis, 4.1.3.2 and 8.5
 */
export function hostCookieName(name: string, origin: string): string {
  const { protocol, port } = new URL(origin)
  return protocol === 'https:' ? `__Host-${name}` : `${name}-${port || 80}`
}

/** Epoch milliseconds. */
export function deadlineOf(id: string): number {
  return Number.parseInt(id.slice(DEADLINE_AT), 36)
}

/** What a store knows a session or a person by. Nobody who reads the store can make a cookie of it. */
export function keyOf(id: string): string {
  return hash('sha256', id, 'base64url')
}

/**
 * Signs with every secret and asks for one of the signatures, so that during a rolling release processes that know only the
 * old secret and processes that know only the new one read the same cookie. A cookie that lacks the signature of
 * the newest secret is signed again. The name of the cookie is part of each key (HKDF, RFC 5869), so a value that
 * was signed for another cookie is worth nothing here.
 *
 * @throws SESSION_SECRETS_WEAK
 */
export function createCookieSigner(secrets: readonly string[], cookieName: string): CookieSigner {
  if (secrets.length === 0 || secrets.some((secret) => secret.length < 32)) throw new SecretsWeak()
  const keys = secrets.map((secret) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `session cookie ${cookieName}`, 32))),
  )

  return {
    accepted: undefined,

    sign(id) {
      if (id === '') return ''
      if (id === this.accepted?.id) return this.accepted.cookie
      return [id, ...keys.map((key) => signature(key, id))].join('.')
    },

    unsign(cookie) {
      this.accepted = undefined
      if (!FORM.test(cookie)) return { valid: false, renew: false, value: null }
      const end = cookie.indexOf('.', DEADLINE_AT)
      const id = cookie.slice(0, end)
      const given = cookie
        .slice(end + 1)
        .split('.')
        .map(asBytes)
      const signer = keys.findIndex((key) => {
        const expected = asBytes(signature(key, id))
        return given.some((one) => timingSafeEqual(one, expected))
      })
      if (signer === 0) this.accepted = { id, cookie }
      return { valid: signer !== -1, renew: signer > 0, value: signer === -1 ? null : id }
    },
  }
}

function signature(key: KeyObject, id: string): string {
  return createHmac('sha256', key).update(id).digest('base64url')
}

function asBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
