import type { Database } from '@repo/database'
import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'
import { finishItem } from '../domain/items.ts'

export const finishJob = defineJob({
  name: 'any-name.finish-item',
  payload: Type.Object({ itemId: Type.String() }),
})

export function handleFinish({ database }: { database: Database }): HandledJob {
  return handle(finishJob, ({ itemId }) => finishItem(database, itemId))
}
