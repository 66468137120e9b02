import { databaseEnv } from '@repo/database'
import { serviceEnv } from '@repo/service'
import { sessionEnv } from '@repo/session'
import { Type, type Static } from 'typebox'

const importEnv = {
  IMPORT_MAX_BYTES: Type.Integer({
    minimum: 1,
    default: 256 * 1024 * 1024,
    description: 'The largest file that is imported; 200,000 links with their icons fit',
  }),
}

/** What the HTTP process reads from its environment. */
export const serverEnv = Type.Object({ ...serviceEnv, ...sessionEnv, ...databaseEnv, ...importEnv })

/** What the worker reads from its environment. */
export const workerEnv = Type.Object({
  ...serviceEnv,
  ...databaseEnv,
  ...importEnv,
  IMPORT_ALLOWED_ADDRESSES: Type.Array(Type.String({ pattern: /^[\da-fA-F:.]+(\/\d{1,3})?$/.source }), {
    default: [],
    expected: 'a list of IP addresses or networks, separated by commas',
    description: 'Besides the public internet, files are fetched from here; for tests and development',
  }),
})

export type ServerEnv = Readonly<Static<typeof serverEnv>>
export type WorkerEnv = Readonly<Static<typeof workerEnv>>
