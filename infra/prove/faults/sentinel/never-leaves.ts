import { plant } from '../plant.ts'

const FILE = 'packages/session/src/stores/redis.ts'

// A client that stays with a silent master as long as the connection is open.
plant(FILE, 'socketTimeout: 2000,', '')
plant(FILE, 'failoverDetector: true,', '')
