import { plant } from '../plant.ts'

// A process that exits on SIGTERM at once, while clients still send to it.
plant('packages/service/src/run-process.ts', '() => sleep(env.DRAIN_MS)', 'async () => {}')
process.on('SIGTERM', () => process.exit(0))
