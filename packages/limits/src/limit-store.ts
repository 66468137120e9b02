/**
 * Where requests are counted: a connection that the app holds anyway. All processes count in the same place, each count
 * is one atomic command, and a counter expires by itself.
 *
 * `sessions.connection` of @repo/session is one of these. In Postgres the release has made the table (`migrateLimits`).
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

/** Requests in the present window, this one included, and the milliseconds until it ends. */
interface Counted {
  current: number
  ttl: number
}

type Count = (key: string, windowMs: number) => Promise<Counted>

/** What @fastify/rate-limit is told of the store: it brings the counter for Redis, the other two are here. */
export function counterOptions(store: LimitStore): object {
  if ('redis' in store) return { redis: store.redis, nameSpace: 'limit:' }
  // keep: memcached
  if ('memcached' in store) return { store: storeClass(countInMemcached(store.memcached)) }
  // /keep
  return { store: storeClass(countInTable(store.postgres)) }
}

/** What @fastify/rate-limit asks of a store: a class with callbacks. */
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

/** @see https://docs.memcached.org/protocols/meta/#meta-arithmetic: N makes the key, for so many seconds, with J. */
function countInMemcached({ send }: Memcached): Count {
  return async (key, windowMs) => {
    const { status, value, flag } = await send(`ma limit:${key} N${Math.ceil(windowMs / 1000)} J1 D1 t v`)
    if (status !== 'VA') throw new Error(`memcached does not count: ${status}`)
    return { current: Number(value), ttl: Number(flag('t')) * 1000 }
  }
}
// /keep

// Not logged: after a crash of Postgres everybody begins anew, which is cheaper than to write each request to disk.
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

/** Makes what counting in Postgres needs, in the schema of who asks. Part of the release; may run twice at once. */
export async function migrateLimits({ query }: Postgres): Promise<void> {
  await query(TABLE, [])
}

// Each count takes up to ten expired counters away: no timer, and no process that owns the work. Time is Postgres's.
const COUNT = `
  WITH expired AS (
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
