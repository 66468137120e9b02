import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A lease that keeps its connection open when it could not be acquired.
plant('packages/queue/src/lease.ts', 'opening.defer(() => close(session))', '')
