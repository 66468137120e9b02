import { defineJob, handle, type HandledJob, type JobContext } from '@repo/queue'
import { Type } from 'typebox'
import type { Transaction } from '../database.ts'
import { finishItem } from '../domain/items.ts'

export const finishJob = defineJob({
  name: 'any-name.finish-item',
  payload: Type.Object({ itemId: Type.String() }),
})

export function handleFinish(): HandledJob<Transaction> {
  return handle(finishJob, async ({ itemId }, { transaction }: JobContext<Transaction>) => {
    await transaction((tx) => finishItem(tx, itemId))
  })
}
