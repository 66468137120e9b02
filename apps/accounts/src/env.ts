import { databaseEnv } from '@repo/database'
import { serviceEnv } from '@repo/service'
import { sessionEnv } from '@repo/session'
import { Type, type Static } from 'typebox'

/** Every variable the HTTP process reads. */
export const envSchema = Type.Object({ ...serviceEnv, ...sessionEnv, ...databaseEnv })

export type Env = Readonly<Static<typeof envSchema>>
