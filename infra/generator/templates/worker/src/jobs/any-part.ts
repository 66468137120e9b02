import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'

export const anyPartJob = defineJob({
  name: 'any-name.any-part',
  payload: Type.Object({ subject: Type.String() }),
})

/** A job may run more than once, so a second run must change nothing. Its writes go through `transaction` of its context. */
export function handleAnyPart(): HandledJob {
  return handle(anyPartJob, async ({ subject }, { log }) => {
    log.info({ subject }, 'nothing to do yet')
  })
}
