export type { BackingService } from './backing-service.ts'
export type { Browser } from './browser.ts'
export {
  createDatabase,
  createEmptyDatabase,
  release,
  shareUrl,
  type TestDatabase,
} from './create-database.ts'
export { fleet, type Fleet, type FleetOptions, type FleetRequest, type FleetResponse } from './fleet.ts'
export { isListening } from './is-listening.ts'
export { pollUntil } from './poll-until.ts'
export { query } from './query.ts'
export { sessionStoreUrl } from './session-store-url.ts'
export { startMemcached } from './start-memcached.ts'
export { startPostgres } from './start-postgres.ts'
export { startProcess, type NodeProcess } from './start-process.ts'
export { startRedis } from './start-redis.ts'
export { startRedisCluster, type RedisCluster } from './start-redis-cluster.ts'
export { startRedisSentinel, type RedisSentinel } from './start-redis-sentinel.ts'
