import { defineJob, handle, type HandledJob } from '@repo/queue'
import { Type } from 'typebox'

export const greetJob = defineJob({
  name: 'any-name.greet',
  payload: Type.Object({ name: Type.String() }),
})

/** A job may run more than once, so a second run must change nothing. Its writes go through `transaction` of its context. */
export function handleGreet(): HandledJob {
  return handle(greetJob, async ({ name }, { log }) => {
    log.info({ greeting: `Hello, ${name}` }, 'greeted')
  })
}
