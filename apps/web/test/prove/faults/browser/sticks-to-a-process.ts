import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// An edge that always uses the same process, so a user never notices what other processes do not know.
plant(
  'packages/calls/src/rotation.ts',
  'if (process) queue.push(...queue.splice(queue.indexOf(process), 1))',
  '',
)
