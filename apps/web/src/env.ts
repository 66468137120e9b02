import { callsEnv } from '@repo/calls'
import { serviceEnv } from '@repo/service'
import { Type, type Static } from 'typebox'

export const envSchema = Type.Object({
  ...serviceEnv,
  ...callsEnv,
  UPSTREAM_TIMEOUT_MS: Type.Integer({
    default: 60_000,
    minimum: 1,
    description: 'How long a service may take to begin its answer, and between two pieces of it.',
  }),
})

export type Env = Readonly<Static<typeof envSchema>>
