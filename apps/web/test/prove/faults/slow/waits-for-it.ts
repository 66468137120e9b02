import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// An edge that leaves reads with a process which has stopped answering.
plant('apps/web/src/rotation.ts', 'for (const moveOn of process.waiting) moveOn()', ';')
