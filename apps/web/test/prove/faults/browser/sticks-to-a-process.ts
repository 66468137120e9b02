import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// An edge that stays with the process that it asked last: nobody sees what the others do not know.
plant('apps/web/src/rotation.ts', 'if (process) queue.push(...queue.splice(queue.indexOf(process), 1))', '')
