import { plant } from '../plant.ts'

// A process that closes its door as soon as it is told to stop, while others still send to it.
plant('packages/service/src/run-process.ts', '() => sleep(env.DRAIN_MS)', 'async () => {}')
process.on('SIGTERM', () => process.exit(0))
