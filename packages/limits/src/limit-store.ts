/**
 * Where requests are counted: a connection that the app already has. All processes count in the same place, each count is
 * one atomic command, and a counter expires by itself.
 *
 * `sessions.connection` of @repo/session is one of these. In Postgres the release creates the table (`migrateLimits`).
 */
export type LimitStore =
  | { redis: object }
  // keep: memcached
  | { memcached: Memcached }
  // /keep
  | { postgres: Postgres }

interface Postgres {
  query<Row>(text: string, values: readonly unknown[]): Promise<Row[]>
}

/** The requests in the present window, this one included, and the milliseconds until it ends. */
interface Counted {
  current: number
  ttl: number
}

type Count = (key: string, windowMs: number) => Promise<Counted>

/** The store options of @fastify/rate-limit. It has its own counter for Redis; the counters for other stores are here. */
export function counterOptions(store: LimitStore): object {
  if ('redis' in store) return { redis: store.redis, nameSpace: 'limit:' }
  // keep: memcached
  if ('memcached' in store) return { store: storeClass(countInMemcached(store.memcached)) }
  // /keep
  return { store: storeClass(countInTable(store.postgres)) }
}

/** The class that @fastify/rate-limit expects as a store, with callbacks. */
function storeClass(count: Count): new () => object {
  return class {
    incr(key: string, done: (error: Error | null, result?: Counted) => void, windowMs: number): void {
      count(key, windowMs).then((counted) => done(null, counted), done)
    }
    child(): object {
      return this
    }
  }
}

// keep: memcached
interface Memcached {
  send(command: string): Promise<{
    status: string
    value: string | null
    flag(name: string): string | undefined
  }>
}

/** @see https://docs.memcached.org/protocols/meta/#meta-arithmetic: N creates the key, for so many seconds, with J. */
function countInMemcached({ send }: Memcached): Count {
  return async (key, windowMs) => {
    const { status, value, flag } = await send(`ma limit:${key} N${Math.ceil(windowMs / 1000)} J1 D1 t v`)
    if (status !== 'VA') throw new Error(`memcached does not count: ${status}`)
    return { current: Number(value), ttl: Number(flag('t')) * 1000 }
  }
}
// /keep

// Unlogged: a crash of Postgres resets all counters, which is cheaper than to write each request to disk.
const TABLE = `
  BEGIN;
  SELECT pg_advisory_xact_lock(hashtext('limits'));
  CREATE UNLOGGED TABLE IF NOT EXISTS limit_counter (
    key text PRIMARY KEY COLLATE "C",
    count integer NOT NULL,
    expires_at timestamptz NOT NULL
  ) WITH (fillfactor = 70);
  CREATE INDEX IF NOT EXISTS limit_counter_expires_at ON limit_counter (expires_at);
  COMMIT;`

/** Creates the table of counters in Postgres, in the schema of the role. Part of the release; two may run at once. */
export async function migrateLimits({ query }: Postgres): Promise<void> {
  await query(TABLE, [])
}

// Each count removes up to ten expired counters, so no timer is needed. The clock is that of Postgres.
const COUNT = `
  WITH expired AS MATERIALIZED (
    SELECT key FROM limit_counter WHERE expires_at <= now() AND key <> $1
    ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED),
  swept AS (DELETE FROM limit_counter WHERE key IN (SELECT key FROM expired))
  INSERT INTO limit_counter (key, count, expires_at)
  VALUES ($1, 1, now() + $2::float8 * interval '1 millisecond')
  ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN limit_counter.expires_at > now() THEN limit_counter.count + 1 ELSE 1 END,
    expires_at = CASE WHEN limit_counter.expires_at > now() THEN limit_counter.expires_at ELSE excluded.expires_at END
  RETURNING count AS current, extract(epoch FROM expires_at - now())::float8 * 1000 AS ttl`

function countInTable({ query }: Postgres): Count {
  return async (key, windowMs) => {
    const [counted] = await query<Counted>(COUNT, [key, windowMs])
    return counted!
  }
}
