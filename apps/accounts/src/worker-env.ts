import { databaseEnv } from '@repo/database'
import { mailEnv } from '@repo/mail'
import { serviceEnv } from '@repo/service'
import { sessionEnv } from '@repo/session'
import { Type, type Static } from 'typebox'

/** Every variable the worker reads. */
export const workerEnv = Type.Object({
  ...serviceEnv,
  ...databaseEnv,
  // keep: mail
  ...mailEnv,
  // Only to make the tokens of mailed links: it opens no session.
  SESSION_SECRETS: sessionEnv.SESSION_SECRETS,
  // /keep
  SECURITY_EVENT_DAYS: Type.Integer({
    minimum: 1,
    default: 90,
    description: 'How many days security events are kept',
  }),
})

export type WorkerEnv = Readonly<Static<typeof workerEnv>>
