import { databaseEnv } from '@repo/database'
import { mailEnv } from '@repo/mail'
import { serviceEnv } from '@repo/service'
import { sessionEnv } from '@repo/session'
import { Type, type Static } from 'typebox'

/** Every variable the worker reads. */
export const workerEnv = Type.Object({
  ...serviceEnv,
  ...databaseEnv,
  ...mailEnv,
  // Only to make the tokens of mailed links: it opens no session.
  SESSION_SECRETS: sessionEnv.SESSION_SECRETS,
})

export type WorkerEnv = Readonly<Static<typeof workerEnv>>
