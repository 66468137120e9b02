import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that asks its own clock what time it is.
plant(
  'packages/queue/src/schedule.ts',
  'const minute = Math.floor(now.getTime() / 60_000) * 60_000',
  'const minute = Math.floor(Math.max(now.getTime(), Date.now()) / 60_000) * 60_000',
)
