import { databaseEnv } from '@repo/database'
import { mailEnv } from '@repo/mail'
import { serviceEnv } from '@repo/service'
import { sessionEnv } from '@repo/session'
import { Type, type Static } from 'typebox'

/** Every variable the worker reads. It opens no session: the tokens of mailed links are made with the secrets. */
export const workerEnv = Type.Object({
  ...serviceEnv,
  ...databaseEnv,
  ...mailEnv,
  SESSION_SECRETS: sessionEnv.SESSION_SECRETS,
  SECURITY_EVENT_DAYS: Type.Integer({
    minimum: 1,
    default: 90,
    description: 'How many days security events are kept',
  }),
})

export type WorkerEnv = Readonly<Static<typeof workerEnv>>
