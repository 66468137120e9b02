import { databaseEnv } from '@repo/database'
import { serviceEnv } from '@repo/service'
import { sessionEnv } from '@repo/session'
import { Type, type Static } from 'typebox'

const importEnv = {
  IMPORT_MAX_BYTES: Type.Integer({
    minimum: 1,
    default: 256 * 1024 * 1024,
    description:
      'The largest file that is imported; uploads of one person that are not done yet are no larger together',
  }),
  BOOKMARKS_MAX: Type.Integer({
    minimum: 1,
    default: 250_000,
    description: 'How many bookmarks one person may have',
  }),
  BOOKMARKS_MAX_BYTES: Type.Integer({
    minimum: 1,
    default: 256 * 1024 * 1024,
    description: 'How many bytes of text the bookmarks of one person may have',
  }),
}

/** What the HTTP process reads from its environment. */
export const serverEnv = Type.Object({
  ...serviceEnv,
  ...sessionEnv,
  ...databaseEnv,
  ...importEnv,
  IMPORTS_MAX_IN_FLIGHT: Type.Integer({
    minimum: 1,
    default: 10,
    description: 'How many imports of one person may wait or be under way',
  }),
})

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

/** @see Quota */
export function quotaOf(env: ServerEnv | WorkerEnv): { maxBookmarks: number; maxBytes: number } {
  return { maxBookmarks: env.BOOKMARKS_MAX, maxBytes: env.BOOKMARKS_MAX_BYTES }
}
