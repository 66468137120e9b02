import type { ProgramName } from '@repo/testing/programs'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { startRedisCluster } from '@repo/testing/servers/start-redis-cluster'
import { startRedisSentinel } from '@repo/testing/servers/start-redis-sentinel'
import { openPostgresUnderTest, openRedisUnderTest, type StoreUnderTest } from './index.ts'
import { migrateSessions } from '../../src/stores/postgres.ts'
// keep: memcached
import { startMemcached } from '@repo/testing/servers/start-memcached'
import { openMemcachedUnderTest } from './memcached-under-test.ts'
// /keep

/** Starts a store of one kind. Resolves to undefined when its program is not installed. */
type Open = (resources: AsyncDisposableStack) => Promise<StoreUnderTest | undefined>

/** The program that a store needs, for `needs`. Postgres is missing here because every machine has it. */
export const programOf: Record<string, ProgramName | undefined> = {
  Redis: 'redis',
  Valkey: 'valkey',
  'Redis Cluster': 'redis',
  'Redis Sentinel': 'redis',
  // keep: memcached
  memcached: 'memcached',
  // /keep
}

/** Every store of the package, on real servers. */
export const stores: Record<string, Open> = {
  Redis: (resources) => openAlone('Redis', resources),
  Valkey: (resources) => openAlone('Valkey', resources, 'valkey-server'),

  async 'Redis Cluster'(resources) {
    const cluster = await startRedisCluster()
    if (!cluster) return undefined
    resources.use(cluster)
    return resources.use(
      openRedisUnderTest({
        name: 'Redis Cluster',
        url: cluster.url,
        servers: cluster.masters,
        cannot: {},
        // A master that was away for longer than the node timeout refuses commands for two more seconds.
        recoveryMs: { thaw: 5000, restart: 5000 },
      }),
    )
  },

  async 'Redis Sentinel'(resources) {
    const sentinel = await startRedisSentinel()
    if (!sentinel) return undefined
    resources.use(sentinel)
    const { name, url, servers, sentinels: watchers } = { name: 'Redis Sentinel', ...sentinel }
    const recoveryMs = { thaw: 5000, restart: 5000 }
    return resources.use(openRedisUnderTest({ name, url, servers, watchers, cannot: {}, recoveryMs }))
  },

  // keep: memcached
  async memcached(resources) {
    const server = await startMemcached({ args: ['-M', '-m', '4'] })
    return server && openMemcachedUnderTest(resources.use(server))
  },
  // /keep

  async Postgres(resources) {
    const server = resources.use(await startPostgres())
    await migrateSessions(server.url)
    return openPostgresUnderTest(server)
  },
}

async function openAlone(
  name: string,
  resources: AsyncDisposableStack,
  program?: 'valkey-server',
): ReturnType<Open> {
  const server = await startRedis(program && { program })
  if (!server) return undefined
  resources.use(server)
  const recoveryMs = { thaw: 500, restart: 1000 }
  const options = { name, url: server.url, servers: [server], cannot: {}, recoveryMs }
  return resources.use(openRedisUnderTest(options))
}
