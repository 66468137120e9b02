import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'

export const greetJob = defineJob({
  name: 'any-name.greet',
  payload: Type.Object({ name: Type.String() }),
})

/** It may be run more than once, so doing it twice must change nothing. What it writes, it writes with `transaction` of its context. */
export function handleGreet(): HandledJob {
  return handle(greetJob, async ({ name }, { log }) => {
    log.info({ greeting: `Hello, ${name}` }, 'greeted')
  })
}
