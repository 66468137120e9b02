import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A worker that reads the time from its own clock.
plant(
  'packages/queue/src/schedule.ts',
  'const minute = Math.floor(now.getTime() / 60_000) * 60_000',
  'const minute = Math.floor(Math.max(now.getTime(), Date.now()) / 60_000) * 60_000',
)
