import { createHmac, createSecretKey, hash, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { SecretsWeak } from './session-error.ts'

// 192 random bits, the absolute deadline, the signature. What has another form is never even verified.
const FORM = /^[\w-]{32}\.[0-9a-z]{8,10}\.[\w-]{43}$/
const DEADLINE_AT = 33
const SIGNATURE_LENGTH = 43

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

/** Epoch milliseconds. */
export function deadlineOf(id: string): number {
  return Number.parseInt(id.slice(DEADLINE_AT), 36)
}

/** What a store knows a session or a person by. Nobody who reads the store can make a cookie of it. */
export function keyOf(id: string): string {
  return hash('sha256', id, 'base64url')
}

/**
 * Signs with the first secret and accepts all of them: put a new one in front, and take the old one away once the
 * absolute limit has passed. The name of the cookie is part of the key (HKDF, RFC 5869), so a value that was signed
 * for another cookie is worth nothing here.
 *
 * @throws SESSION_SECRETS_WEAK
 */
export function createCookieSigner(secrets: readonly string[], cookieName: string): CookieSigner {
  if (secrets.length === 0 || secrets.some((secret) => secret.length < 32)) throw new SecretsWeak()
  const keys = secrets.map((secret) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `session cookie ${cookieName}`, 32))),
  )
  const signature = (key: (typeof keys)[0], id: string): string =>
    createHmac('sha256', key).update(id).digest('base64url')

  return {
    accepted: undefined,

    sign(id) {
      if (id === '') return ''
      return id === this.accepted?.id ? this.accepted.cookie : `${id}.${signature(keys[0]!, id)}`
    },

    unsign(cookie) {
      this.accepted = undefined
      if (!FORM.test(cookie)) return { valid: false, renew: false, value: null }
      const id = cookie.slice(0, -SIGNATURE_LENGTH - 1)
      const given = Buffer.from(cookie.slice(-SIGNATURE_LENGTH), 'latin1')
      const signer = keys.findIndex((key) =>
        timingSafeEqual(Buffer.from(signature(key, id), 'latin1'), given),
      )
      if (signer === 0) this.accepted = { id, cookie }
      return { valid: signer !== -1, renew: signer > 0, value: signer === -1 ? null : id }
    },
  }
}
