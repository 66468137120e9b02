import { databaseEnv } from '@repo/database'
import { serviceEnv } from '@repo/service'
import { Type, type Static } from 'typebox'

/** Every variable the worker reads. */
export const workerEnv = Type.Object({ ...serviceEnv, ...databaseEnv })

export type WorkerEnv = Readonly<Static<typeof workerEnv>>
