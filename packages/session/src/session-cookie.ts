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

// 192 random bits, the absolute deadline, and a signature for each secret. A value of another form is not verified at all.
const FORM = /^[\w-]{32}\.[0-9a-z]{8,10}(?:\.[\w-]{43})+$/
const DEADLINE_AT = 33

/** The signer that @fastify/session needs. */
export interface CookieSigner {
  sign(id: string): string
  /**
   * What `unsign` accepted last. @fastify/session signs each id again once its record is loaded. A caller that saves this
   * value before the load and restores it afterwards avoids that second signature, which costs most after the store.
   */
  accepted: { id: string; cookie: string } | undefined
  unsign(cookie: string): { valid: boolean; renew: boolean; value: string | null }
}

/**
 * A new id, which contains its absolute deadline. The cookie's signature protects it, so a read can set the record's time to
 * live exactly, in the same single command that loads it.
 */
export function newSessionId(absoluteMs: number): string {
  return `${randomBytes(24).toString('base64url')}.${(Date.now() + absoluteMs).toString(36)}`
}

/**
 * The name of a cookie for one host: `__Host-session` with https, otherwise `session-3000`, with the port. Browsers share
 * cookies between ports, so all apps on localhost would share a cookie `session`.
 *
 * @param origin as the browser sees it
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

/** The store's key of a session or a user: a hash, so nobody can make a cookie from the contents of the store. */
export function keyOf(id: string): string {
  return hash('sha256', id, 'base64url')
}

/**
 * Signs with every secret, and accepts a cookie if one of its signatures is right. So during a rolling release, processes
 * with only the old secret and processes with only the new one read the same cookie. A cookie that lacks the signature of
 * the newest secret is signed again. The name of the cookie is part of each key (HKDF, RFC 5869), so a value that was signed
 * for another cookie is not accepted.
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
