import { serviceEnv } from '@repo/service'
import { Type, type Static } from 'typebox'

const ROUTE = /^(?:\/[A-Za-z0-9_-]+)+=https?:\/\/[^\s/|,]+(?:\|https?:\/\/[^\s/|,]+)*$/

export const envSchema = Type.Object({
  ...serviceEnv,
  UPSTREAMS: Type.Array(Type.String({ pattern: ROUTE.source }), {
    minItems: 1,
    expected: 'a list of prefix=url|url, separated by commas',
    description:
      'Which service owns which path, as `/api/accounts=http://accounts:3000,/api/orders=http://10.0.0.1:3000|http://10.0.0.2:3000`. ' +
      'Names are resolved again every second, and each of their addresses is one process.',
  }),
  UPSTREAM_TIMEOUT_MS: Type.Integer({
    default: 60_000,
    minimum: 1,
    description: 'How long a service may take to begin its answer, and between two pieces of it.',
  }),
  UPSTREAM_PROBE_MS: Type.Integer({
    default: 500,
    minimum: 10,
    description:
      'How often each process is asked whether it is ready. The drain of a service must be longer than this.',
  }),
})

export type Env = Readonly<Static<typeof envSchema>>
