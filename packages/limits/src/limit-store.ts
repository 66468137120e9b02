/**
 * Where requests are counted: a connection that the app holds anyway. All processes count in the same place, each count
 * is one atomic command, and a counter expires by itself.
 *
 * `sessions.connection` of @repo/session is one of these; so is `{ postgres: database }` with the client of @repo/database.
 */
export type LimitStore = { redis: object } | { memcached: Memcached } | { postgres: Postgres }

interface Memcached {
  send(command: string): Promise<{
    status: string
    value: string | null
    flag(name: string): string | undefined
  }>
}

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
interface Counter {
  options: object
  /** Makes what the first count would have to make, so that nobody waits for it. */
  prepare?(): Promise<void>
}

export function createCounter(store: LimitStore): Counter {
  if ('redis' in store) return { options: { redis: store.redis, nameSpace: 'limit:' } }
  if ('memcached' in store) return { options: { store: storeClass(countIn(store.memcached)) } }
  const { count, prepare } = countInTable(store.postgres)
  return { options: { store: storeClass(count) }, prepare }
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

/** @see https://docs.memcached.org/protocols/meta/#meta-arithmetic: N makes the key, for so many seconds, with J. */
function countIn({ send }: Memcached): Count {
  return async (key, windowMs) => {
    const { status, value, flag } = await send(`ma limit:${key} N${Math.ceil(windowMs / 1000)} J1 D1 t v`)
    if (status !== 'VA') throw new Error(`memcached does not count: ${status}`)
    return { current: Number(value), ttl: Number(flag('t')) * 1000 }
  }
}

// Made when absent, as the sessions' schema is. Not logged: after a crash of Postgres everybody begins anew, which is
// cheaper than to write each request to disk. The lock is for processes that boot at the same time.
const SCHEMA = `
  BEGIN;
  SELECT pg_advisory_xact_lock(hashtext('limits'));
  CREATE SCHEMA IF NOT EXISTS limits;
  CREATE UNLOGGED TABLE IF NOT EXISTS limits.counter (
    key text PRIMARY KEY COLLATE "C",
    count integer NOT NULL,
    expires_at timestamptz NOT NULL
  ) WITH (fillfactor = 70);
  CREATE INDEX IF NOT EXISTS counter_expires_at ON limits.counter (expires_at);
  COMMIT;`

// Each count takes up to ten expired counters away: no timer, and no process that owns the work. Time is Postgres's.
const COUNT = `
  WITH expired AS (
    SELECT key FROM limits.counter WHERE expires_at <= now() AND key <> $1
    ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED),
  swept AS (DELETE FROM limits.counter WHERE key IN (SELECT key FROM expired))
  INSERT INTO limits.counter (key, count, expires_at)
  VALUES ($1, 1, now() + $2::float8 * interval '1 millisecond')
  ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN counter.expires_at > now() THEN counter.count + 1 ELSE 1 END,
    expires_at = CASE WHEN counter.expires_at > now() THEN counter.expires_at ELSE excluded.expires_at END
  RETURNING count AS current, extract(epoch FROM expires_at - now())::float8 * 1000 AS ttl`

function countInTable({ query }: Postgres): { count: Count; prepare(): Promise<void> } {
  let schema: Promise<void> | undefined

  async function makeSchema(): Promise<void> {
    const [found] = await query<{ name: string | null }>(`SELECT to_regclass('limits.counter') AS name`, [])
    if (!found?.name) await query(SCHEMA, [])
  }

  async function prepare(): Promise<void> {
    schema ??= makeSchema()
    await schema.catch((error: unknown) => {
      schema = undefined
      throw error
    })
  }

  async function count(key: string, windowMs: number): Promise<Counted> {
    await prepare()
    const [counted] = await query<Counted>(COUNT, [key, windowMs])
    return counted!
  }

  return { count, prepare }
}
