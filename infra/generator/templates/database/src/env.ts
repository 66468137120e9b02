import { databaseEnv } from '@repo/database'
import { serviceEnv } from '@repo/service'
import { Type, type Static } from 'typebox'

/** Every variable this app reads. */
export const envSchema = Type.Object({ ...serviceEnv, ...databaseEnv })

export type Env = Readonly<Static<typeof envSchema>>
