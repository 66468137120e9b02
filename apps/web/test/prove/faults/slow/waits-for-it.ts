import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// An edge that keeps reads waiting for a process that has stopped answering.
plant('packages/calls/src/rotation.ts', 'for (const moveOn of process.waiting) moveOn()', ';')
