import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'

export const anyPartJob = defineJob({
  name: 'any-name.any-part',
  payload: Type.Object({ subject: Type.String() }),
})

/** It may be run more than once, so doing it twice must change nothing. What it writes, it writes with `transaction` of its context. */
export function handleAnyPart(): HandledJob {
  return handle(anyPartJob, async ({ subject }, { log }) => {
    log.info({ subject }, 'nothing to do yet')
  })
}
