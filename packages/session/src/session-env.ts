import { Type } from 'typebox'

const MINUTE_MS = 60_000

/** Default of `SESSION_IDLE_MS`. */
export const IDLE_MS = 30 * MINUTE_MS
/** Default of `SESSION_ABSOLUTE_MS`. */
export const ABSOLUTE_MS = 12 * 60 * MINUTE_MS
/** Default of `SESSION_MAX_PER_USER`. */
export const MAX_PER_USER = 100

/**
 * The environment variables of this package. Spread them into an app's schema. The default lifetimes are those of NIST SP
 * 800-63B for its middle level (AAL2): 30 minutes without a request, 12 hours in all.
 */
export const sessionEnv = {
  SESSION_STORE_URL: Type.String({
    secret: 'session',
    // Not `format: 'uri'`: a list of hosts with ports, as for Cluster and Sentinel, is not a URI by the standard.
    pattern: /^[a-z+]+:\/\/[^\s/]/.source,
    expected: 'a URL such as redis://host:6379 or redis+sentinel://a:26379,b:26379/name-of-the-master',
    description:
      'The session store: redis://, rediss://, redis+cluster://, redis+sentinel://, postgres://, or another in packages/session/README.md',
  }),
  SESSION_SECRETS: Type.Array(Type.String({ minLength: 32 }), {
    secret: 'session',
    minItems: 1,
    description: 'Secrets that sign the session cookie, newest first, 32 characters or more each',
  }),
  SESSION_IDLE_MS: Type.Integer({
    minimum: 1000,
    default: IDLE_MS,
    description: 'A session ends after this time without a request',
  }),
  SESSION_ABSOLUTE_MS: Type.Integer({
    minimum: 1000,
    default: ABSOLUTE_MS,
    description: 'A session ends this long after sign-in, even if it is in use',
  }),
  SESSION_MAX_PER_USER: Type.Integer({
    minimum: 1,
    // In some stores a user's list is one value.
    maximum: 10_000,
    default: MAX_PER_USER,
    description: 'How many sessions a user may have; one more sign-in ends the oldest',
  }),
}
