import { Type } from 'typebox'

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
