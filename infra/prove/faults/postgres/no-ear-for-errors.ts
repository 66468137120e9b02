import { plant } from '../plant.ts'

// A pool nobody listens to: an idle connection that breaks ends the process.
plant('packages/database/src/open-pool.ts', "pool.on('error', () => {})", '')
plant('packages/database/src/open-pool.ts', "client.on('error', () => {})", '')
