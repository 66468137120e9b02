import { defineJob, handle, type HandledJob, type JobContext } from '@repo/queue'
import { Type } from 'typebox'
import type { Transaction } from '../database.ts'
import { forgetEvents } from '../domain/security-events.ts'

/** Removes security events after their time. Its schedule is in `start-jobs.ts`. */
export const forgetOldEvents = defineJob({ name: 'accounts.forget-events', payload: Type.Object({}) })

export function handleForgetEvents(days: number): HandledJob<Transaction> {
  return handle(forgetOldEvents, async (_payload, { log, transaction }: JobContext<Transaction>) => {
    const count = await transaction((tx) => forgetEvents(tx, days))
    if (count > 0) log.info({ count }, 'old security events were removed')
  })
}
