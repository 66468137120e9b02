import {
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import { hostCookieName } from '@repo/session'

/** Renewed by each sign-in. */
const LIFETIME_MS = 180 * 24 * 60 * 60_000

// When it expires, 128 random bits, and a signature for each secret. What has another form is not even verified.
const FORM = /^([0-9a-z]{8,10})\.([\w-]{22})\.([\w-]{43}(?:\.[\w-]{43})*)$/

/** Whose browser it is. */
interface Owner {
  id: string
  passwordHash: string
}

/**
 * The cookie that a browser keeps once it has signed in to an account. It signs nobody in: it only says that guesses
 * from here are counted apart from those of strangers, so that no stranger keeps the owner out.
 *
 * It is worth something for this account with this password alone, and it does not say which account that is. Nothing
 * is stored: the stored hash of the password is part of what is signed, so another password revokes all of them.
 *
 * @see https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
 */
export interface DeviceCookie {
  name: string
  attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'strict'; maxAge: number }
  issue(owner: Owner): string
  /** What this browser is counted as, or null when it is a stranger to this account. Nobody has no browser. */
  read(cookie: string | undefined, owner: Owner | null): string | null
}

export interface DeviceCookieOptions {
  /** Newest first. Signed with each, as the session cookie is, so that processes of two releases read the same cookie. */
  secrets: readonly string[]
  /** What the browser sees. With https the cookie is `__Host-device`, Secure; else `device-3000`, by its port. */
  origin: string
}

export function createDeviceCookie({ secrets, origin }: DeviceCookieOptions): DeviceCookie {
  const secure = new URL(origin).protocol === 'https:'
  const name = hostCookieName('device', origin)
  const keys = secrets.map((secret) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `device cookie ${name}`, 32))),
  )

  return {
    name,
    attributes: { path: '/', httpOnly: true, secure, sameSite: 'strict', maxAge: LIFETIME_MS / 1000 },

    issue(owner) {
      const expires = (Date.now() + LIFETIME_MS).toString(36)
      const device = randomBytes(16).toString('base64url')
      return [expires, device, ...keys.map((key) => sign(key, expires, device, owner))].join('.')
    },

    read(cookie = '', owner) {
      const [, expires = '', device = '', signatures = ''] = FORM.exec(cookie) ?? []
      if (!owner || Number.parseInt(expires, 36) < Date.now()) return null
      const given = signatures.split('.').map((signature) => Buffer.from(signature))
      const isOurs = keys.some((key) => {
        const expected = Buffer.from(sign(key, expires, device, owner))
        return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected))
      })
      return isOurs ? device : null
    },
  }
}

function sign(key: KeyObject, expires: string, device: string, { id, passwordHash }: Owner): string {
  const signed = JSON.stringify([expires, device, id, passwordHash])
  return createHmac('sha256', key).update(signed).digest('base64url')
}
