import { defineJob, handle, type HandledJob, type JobContext } from '@repo/queue'
import { Type } from 'typebox'
import type { Transaction } from '../database.ts'
import { endLostImports } from '../domain/imports.ts'

export const endLost = defineJob({
  name: 'bookmarks.end-lost-imports',
  payload: Type.Object({}),
  retry: { attempts: 1 },
})

/** Ends uploads whose process died, and imports whose job was lost. */
export function handleEndLostImports(): HandledJob<Transaction> {
  return handle(endLost, async (_payload, { log, transaction }: JobContext<Transaction>) => {
    const counts = await transaction(endLostImports)
    if (counts.uploads + counts.imports > 0) log.warn(counts, 'lost imports were ended')
  })
}
