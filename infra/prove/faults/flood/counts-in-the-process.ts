import { plant } from '../plant.ts'

// A limit that each process counts for itself: two processes allow twice as much.
plant('packages/limits/src/limit-store.ts', "{ redis: store.redis, nameSpace: 'limit:' }", '{}')
