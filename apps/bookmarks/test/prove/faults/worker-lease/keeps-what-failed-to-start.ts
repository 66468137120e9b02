import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A lease that keeps its connection when it could not be taken.
plant('packages/queue/src/lease.ts', 'opening.defer(() => close(session))', '')
