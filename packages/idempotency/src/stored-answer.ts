/** An answer as it is kept, to be given again. */
export interface StoredAnswer {
  /** Which request it answers: its address and body, as a digest. */
  fingerprint: string
  status: number
  headers: Record<string, number | string | string[]>
  /** Null when there is none, as with 204. */
  body: string | null
}

/** What this package needs of a transaction of a Prisma client. */
export interface RawQueries {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
}

/**
 * Holds the key until the end of the transaction. False while another transaction does, in whatever process: nobody waits. When
 * a process or its connection dies, Postgres ends the transaction, and nobody holds the key any more.
 */
export async function holdKey(tx: RawQueries, key: string): Promise<boolean> {
  const [held] = await tx.$queryRawUnsafe<[{ isHeld: boolean }]>(
    'SELECT pg_try_advisory_xact_lock(hashtextextended($1::text, 0)) AS "isHeld"',
    key,
  )
  return held.isHeld
}

/** Only after `holdKey`, and in another statement: one statement sees nothing that was committed after it began. */
export async function findAnswer(tx: RawQueries, key: string): Promise<StoredAnswer | undefined> {
  const [found] = await tx.$queryRawUnsafe<StoredAnswer[]>(
    'SELECT fingerprint, status, headers, body FROM idempotency_keys WHERE key = $1 AND expires_at > now()',
    key,
  )
  return found
}

// Each answer removes up to ten expired ones, so no timer is needed. The ten are chosen once: a subquery with a limit may be run
// again for each row that it is compared with. The clock is that of Postgres.
const STORE = `
  WITH expired AS MATERIALIZED (
    SELECT key FROM idempotency_keys WHERE expires_at <= now() AND key <> $1
    ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED),
  swept AS (DELETE FROM idempotency_keys WHERE key IN (SELECT key FROM expired))
  INSERT INTO idempotency_keys AS old (key, fingerprint, status, headers, body, expires_at)
  VALUES ($1, $2, $3::int, $4::jsonb, $5, now() + $6::float8 * interval '1 millisecond')
  ON CONFLICT (key) DO UPDATE SET
    fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers, body = excluded.body,
    expires_at = excluded.expires_at
  WHERE old.expires_at <= now()
  RETURNING key`

/**
 * Stores an answer for so long. False when there is one already, which only a lock that does not hold could cause, as through a
 * pooler that gives each statement another connection.
 */
export async function storeAnswer(
  tx: RawQueries,
  key: string,
  { fingerprint, status, headers, body }: StoredAnswer,
  expireAfterMs: number,
): Promise<boolean> {
  const values = [key, fingerprint, status, JSON.stringify(headers), body, expireAfterMs]
  const stored = await tx.$queryRawUnsafe<unknown[]>(STORE, ...values)
  return stored.length === 1
}
