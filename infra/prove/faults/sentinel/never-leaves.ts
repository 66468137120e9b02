import { plant } from '../plant.ts'

const FILE = 'packages/session/src/stores/redis.ts'

// A client that stays with a master which says nothing, for as long as the connection stands.
plant(FILE, 'socketTimeout: 2000,', '')
plant(FILE, 'failoverDetector: true,', '')
