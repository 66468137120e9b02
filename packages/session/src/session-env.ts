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
      'Where sessions live: redis://, rediss://, redis+cluster://, redis+sentinel://, postgres://, or as packages/session/README.md says',
  }),
  SESSION_SECRETS: Type.Array(Type.String({ minLength: 32 }), {
    secret: 'session',
    minItems: 1,
    description: 'Secrets that sign the session cookie, newest first, 32 characters or more each',
  }),
  SESSION_IDLE_MS: Type.Integer({
    minimum: 1000,
    default: IDLE_MS,
    description: 'A session ends after so long without a request',
  }),
  SESSION_ABSOLUTE_MS: Type.Integer({
    minimum: 1000,
    default: ABSOLUTE_MS,
    description: 'A session ends so long after sign-in, whatever happens',
  }),
  SESSION_MAX_PER_USER: Type.Integer({
    minimum: 1,
    // In some stores a user's list is one value.
    maximum: 10_000,
    default: MAX_PER_USER,
    description: 'In so many places a person may be signed in; one sign-in more ends the oldest session',
  }),
}
