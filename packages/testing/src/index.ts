export type { BackingService } from './backing-service.ts'
export type { Browser, FleetRequest, FleetResponse } from './browser.ts'
export {
  createDatabase,
  createEmptyDatabase,
  query,
  release,
  sessionStoreUrl,
  shareUrl,
  type TestDatabase,
} from './create-database.ts'
export { fleet, type Fleet, type FleetOptions } from './fleet.ts'
export { pollUntil } from './poll-until.ts'
export { startPostgres } from './start-postgres.ts'
export { startProcess, type NodeProcess } from './start-process.ts'
export { startRedis } from './start-redis.ts'
