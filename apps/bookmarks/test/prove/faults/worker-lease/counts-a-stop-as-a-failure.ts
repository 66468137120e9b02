import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// An interrupted job loses an attempt.
plant(
  'packages/queue/src/lease.ts',
  "const countsForNothing = 'attempts = greatest(0, attempts - 1)'",
  "const countsForNothing = 'attempts = attempts'",
)
