import { faults } from './faults.ts'
import { identity } from './identity.ts'
import { lifetime } from './lifetime.ts'
import { overlap } from './overlap.ts'
import type { Behaviour } from './play.ts'

export { registerBehaviourRoutes, type SessionWords } from './behaviour-routes.ts'
// keep: memcached
export { openMemcachedUnderTest } from './memcached-under-test.ts'
// /keep
export type { Behaviour } from './play.ts'
export { openPostgresUnderTest } from './postgres-under-test.ts'
export { openRedisUnderTest, type BackingServer, type RedisUnderTestOptions } from './redis-under-test.ts'
export { storeContract, type StoreSetting } from './store-contract.ts'
export type { ServerProcess, Stage, StoreUnderTest } from './stage.ts'

/**
 * The behaviours of correct sessions, by number. Each runs over HTTP on two or more processes and one store, does not depend
 * on the package behind them, and throws when its claim is false.
 */
export const behaviours: readonly Behaviour[] = [...overlap, ...identity, ...lifetime, ...faults].toSorted(
  (a, b) => a.number - b.number,
)

/** The quick ones, in which no process ends and no time has to pass. */
export const swiftBehaviours: readonly Behaviour[] = [...overlap, ...identity]
