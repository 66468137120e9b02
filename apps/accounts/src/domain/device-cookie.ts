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

// Its expiry, 128 random bits, and a signature for each secret. A cookie of another form is not verified.
const FORM = /^([0-9a-z]{8,10})\.([\w-]{22})\.([\w-]{43}(?:\.[\w-]{43})*)$/

/** The account that the browser has signed in to. */
interface Owner {
  id: string
  passwordHash: string
}

/**
 * The cookie that a browser keeps after it has signed in to an account. It signs no user in. Guesses with it are counted
 * separately from those of unknown browsers, so that a stranger cannot lock the owner out.
 *
 * It is valid only for this account with this password, and it does not tell which account that is. Nothing is stored: the
 * stored hash of the password is part of what is signed, so a new password revokes all device cookies.
 *
 * @see https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
 */
export interface DeviceCookie {
  name: string
  attributes: { path: '/'; httpOnly: true; secure: boolean; sameSite: 'strict'; maxAge: number }
  issue(owner: Owner): string
  /** The name by which this browser is counted. Null when the browser is unknown to this account, or there is no account. */
  read(cookie: string | undefined, owner: Owner | null): string | null
}

export interface DeviceCookieOptions {
  /** Newest first. Each of them signs, as for the session cookie, so that processes of two releases read the same cookie. */
  secrets: readonly string[]
  /** The public origin. With https the cookie is `__Host-device`, Secure; else `device-3000`, with the port. */
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
