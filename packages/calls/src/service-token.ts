import { randomUUID, type webcrypto } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import { CallSecretsWeak } from './errors.ts'

/** Not `authorization`, which has the tokens of clients: a proxy can remove this one by its name, and reads no token. */
export const TOKEN_HEADER = 'x-service-token'

/** So that no other token with the same key is taken for one of these. @see RFC 8725, 3.11 */
const TYPE = 'service+jwt'
const ALGORITHM = 'HS256'
const LIFETIME_S = 30
/** How far the clocks of two machines may differ. */
const CLOCK_TOLERANCE_S = 5
/** A token is sent again in this time, so that a caller signs once for many calls. What is left of its life is enough for one. */
const REUSED_MS = 10_000
const MOST_KEPT = 1000

/** Who has sent a request. */
export interface Caller {
  readonly service: string
  /** For whom; undefined when the service calls for itself. */
  readonly userId?: string
}

/** Returns a token for one callee: for a user, or without a user for the service itself. */
export type TokenIssuer = (userId?: string) => Promise<string>

/**
 * A token says who calls (`iss`, and `act` beside a user), whom (`aud`) and for which user (`sub`). It is valid for 30 s, and is
 * used again for the same user in its first 10 s.
 *
 * @throws CALL_SECRETS_WEAK
 * @see RFC 7519; RFC 8693, 4.1
 */
export function createTokenIssuer(options: {
  /** The service that calls. */
  issuer: string
  /** The service that is called. */
  audience: string
  /** Of the callee. The first signs. */
  secrets: readonly string[]
}): TokenIssuer {
  const { issuer, audience, secrets } = options
  const keys = importKeys(secrets)
  const kept = createBriefCache<string | undefined, Promise<string>>()

  async function sign(userId: string | undefined): Promise<string> {
    const [key] = await keys
    return new SignJWT(userId === undefined ? {} : { act: { sub: issuer } })
      .setProtectedHeader({ alg: ALGORITHM, typ: TYPE })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(userId ?? issuer)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${LIFETIME_S} s`)
      .sign(key!)
  }

  return function issueToken(userId) {
    const known = kept.get(userId)
    if (known) return known
    const token = sign(userId)
    kept.set(userId, token, REUSED_MS)
    return token
  }
}

/** What a handler must not pass on from its own request: a call is neither from its client nor came through its proxy. */
const OF_THE_CLIENT = /^(?:cookie|authorization|forwarded|x-forwarded-.*|x-real-ip|x-service-token)$/i

/** The headers of a call: its own, and the token. */
export async function identify(
  { headers = {}, userId }: { headers?: Record<string, string>; userId?: string },
  issueToken: TokenIssuer | undefined,
): Promise<Record<string, string>> {
  const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !OF_THE_CLIENT.test(name)))
  return issueToken ? { ...kept, [TOKEN_HEADER]: await issueToken(userId) } : kept
}

/**
 * Returns a function that resolves to the caller that a token names, and rejects with an error of jose when the token is not
 * valid: of another callee, another key, another kind, or too old.
 *
 * @throws CALL_SECRETS_WEAK
 */
export function createTokenVerifier(options: {
  /** The service that is called. */
  audience: string
  /** Each of them verifies. */
  secrets: readonly string[]
}): (token: string) => Promise<Caller> {
  const keys = importKeys(options.secrets)
  const rules = {
    algorithms: [ALGORITHM],
    typ: TYPE,
    audience: options.audience,
    clockTolerance: CLOCK_TOLERANCE_S,
    maxTokenAge: LIFETIME_S,
    requiredClaims: ['iss', 'sub', 'exp', 'jti'],
  }

  // A caller sends a token many times, and to verify one costs more than the rest of a small request.
  const kept = createBriefCache<string, Caller>()

  return async function verifyToken(token) {
    const known = kept.get(token)
    if (known) return known
    const { caller, leftMs } = await verifyAnew(token)
    kept.set(token, caller, Math.min(leftMs, REUSED_MS))
    return caller
  }

  async function verifyAnew(token: string): Promise<{ caller: Caller; leftMs: number }> {
    let failure: unknown
    for (const key of await keys) {
      try {
        const { payload } = await jwtVerify<{ act?: { sub?: unknown } }>(token, key, rules)
        const caller = readCaller(payload.iss!, payload.sub!, payload.act)
        return { caller, leftMs: payload.exp! * 1000 - Date.now() }
      } catch (error) {
        failure = error
        if ((error as { code?: string }).code !== 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') break
      }
    }
    throw failure
  }
}

function readCaller(service: string, subject: string, actor: { sub?: unknown } | undefined): Caller {
  if (actor ? actor.sub !== service : subject !== service) throw new Error('The token has another actor')
  // Requests with the same token share it.
  return Object.freeze(actor ? { service, userId: subject } : { service })
}

/**
 * Values for a short time, 1,000 at most: the oldest goes. The time is not that of `Date.now()`, because a clock that is set back
 * would keep a value beyond its end.
 */
function createBriefCache<Key, Value>() {
  const kept = new Map<Key, { value: Value; until: number }>()
  return {
    get(key: Key): Value | undefined {
      const known = kept.get(key)
      return known && performance.now() < known.until ? known.value : undefined
    },
    set(key: Key, value: Value, forMs: number): void {
      // An old key would keep its place.
      kept.delete(key)
      kept.set(key, { value, until: performance.now() + forMs })
      if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value as Key)
    },
  }
}

async function importKey(secret: string): Promise<webcrypto.CryptoKey> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' }
  return crypto.subtle.importKey('raw', Buffer.from(secret), algorithm, false, ['sign', 'verify'])
}

/** Once, because jose would import a secret again for every token. */
function importKeys(secrets: readonly string[]): Promise<webcrypto.CryptoKey[]> {
  if (secrets.length === 0 || secrets.some(({ length }) => length < 32)) throw new CallSecretsWeak()
  return Promise.all(secrets.map(importKey))
}
