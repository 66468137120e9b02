import { Type, type TArray, type TString } from 'typebox'

const ROUTE = /^(?:\/[A-Za-z0-9_-]+)+=https?:\/\/[^\s/|,]+(?:\|https?:\/\/[^\s/|,]+)*$/

/** The variables of a process that sends requests to other services. */
export const callsEnv = {
  UPSTREAMS: Type.Array(Type.String({ pattern: ROUTE.source }), {
    minItems: 1,
    expected: 'a list of prefix=url|url, separated by commas',
    description:
      'Which service owns which path, as `/api/accounts=http://accounts:3000,/api/orders=http://10.0.0.1:3000|http://10.0.0.2:3000`. ' +
      'Names are resolved again every second, and each of their addresses is one process.',
  }),
  UPSTREAM_PROBE_MS: Type.Integer({
    default: 500,
    minimum: 10,
    description:
      'How often each process is asked whether it is ready. The drain of a service must be longer than this.',
  }),
}

// keep: calls
/** `order-history` is `ORDER_HISTORY`. */
type Screaming<Name extends string> = Name extends `${infer First}-${infer Rest}`
  ? `${Uppercase<First>}_${Screaming<Rest>}`
  : Uppercase<Name>

const KEY = 'CALL_SECRETS'

/** The variable of a service that others call: the secrets with which it verifies their tokens. */
export const acceptCallsEnv = { [KEY]: secretsOf('this service', true) }

/**
 * The variable of a process that calls a service, such as CATALOG_CALL_SECRETS: it signs with the secrets of the callee, and has
 * those of no other.
 *
 * @param callee the name of its app
 */
export function callSecretsEnv<Name extends string>(
  callee: Name,
): Record<`${Screaming<Name>}_CALL_SECRETS`, TArray<TString>> {
  const name = `${callee.toUpperCase().replaceAll('-', '_')}_${KEY}`
  return { [name]: secretsOf(callee, { store: callee, key: KEY }) } as ReturnType<typeof callSecretsEnv<Name>>
}

function secretsOf(callee: string, secret: true | { store: string; key: string }): TArray<TString> {
  return Type.Array(Type.String({ minLength: 32 }), {
    secret,
    minItems: 1,
    // The same for all services: the processes of a developer, or of a test, need no further file in common.
    inDevelopment: ['for calls between services of a developer'],
    description: `Secrets that sign the calls to ${callee}, 32 characters or more each: all verify, the first signs`,
  })
}
// /keep
