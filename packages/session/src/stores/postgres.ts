import { randomBytes } from 'node:crypto'
import { Client, Pool, type PoolClient, type QueryResult } from 'pg'
import type { SessionStore } from '../store.ts'

// An earlier release made the table without `until`. While it runs beside this one it writes rows without it, which count as
// the oldest. An existing schema is not created again: that needs a privilege on the whole database.
const SCHEMA = `
  BEGIN;
  SELECT pg_advisory_xact_lock(hashtext('sessions'));
  DO $$ BEGIN IF to_regnamespace('sessions') IS NULL THEN CREATE SCHEMA sessions; END IF; END $$;
  CREATE TABLE IF NOT EXISTS sessions.session (
    key text PRIMARY KEY COLLATE "C",
    owner text COLLATE "C",
    record text NOT NULL,
    expires_at timestamptz NOT NULL
  ) WITH (fillfactor = 70);
  ALTER TABLE sessions.session ADD COLUMN IF NOT EXISTS until bigint NOT NULL DEFAULT 0;
  CREATE INDEX IF NOT EXISTS session_owner ON sessions.session (owner) WHERE owner IS NOT NULL;
  COMMIT;`

const READ_ONLY = '25006'
const DISK_FULL = '53100'
const LATER = `now() + $2::float8 * interval '1 ms'`
/** Large, because each page sorts the rest of the list. */
const PAGE = 500

// A read that would move the expiry by less than a twentieth writes nothing. There is no index on expires_at, so the writes
// of other reads are heap-only updates, which change no index.
const LOAD = `
  WITH found AS (SELECT record, expires_at FROM sessions.session WHERE key = $1 AND expires_at > now()),
  touched AS (
    UPDATE sessions.session SET expires_at = ${LATER}
    WHERE key = $1 AND expires_at > now() AND abs(extract(epoch FROM ${LATER} - expires_at)) * 1000 > $2::float8 / 20)
  SELECT record FROM found`

// Each new session reads 50 rows from a random place (keys are hashes) and removes the expired ones. So the cleanup needs no
// timer and no process of its own, and a batch is always small.
const CREATE = `
  WITH nearby AS (SELECT key FROM sessions.session WHERE key >= $5 ORDER BY key LIMIT 50),
  expired AS (
    SELECT key FROM sessions.session JOIN nearby USING (key) WHERE expires_at <= now()
    FOR UPDATE OF session SKIP LOCKED),
  swept AS (DELETE FROM sessions.session WHERE key IN (SELECT key FROM expired))
  INSERT INTO sessions.session (key, record, expires_at, owner, until) VALUES ($1, $3, ${LATER}, $4, $6)
  ON CONFLICT (key) DO NOTHING`

// Removes the lines that change and appends the new ones, under the row's own lock.
const PATCH = `
  UPDATE sessions.session SET expires_at = ${LATER}, record = (
    SELECT string_agg(line, E'\\n' ORDER BY place) FROM (
      SELECT line, place FROM unnest(string_to_array(record, E'\\n')) WITH ORDINALITY AS old (line, place)
      WHERE NOT EXISTS (SELECT FROM unnest($3::text[]) AS name WHERE starts_with(line, name))
      UNION ALL
      SELECT name || json, 1e9 FROM unnest($3::text[], $4::text[]) AS new (name, json) WHERE json <> ''
    ) AS lines)
  WHERE key = $1 AND expires_at > now() AND CASE
    WHEN $5::text IS NULL THEN true
    WHEN $6::text = '' THEN strpos(record, E'\\n' || $5) = 0
    ELSE strpos(record || E'\\n', E'\\n' || $5 || $6 || E'\\n') > 0 END`

const READ = `SELECT record FROM sessions.session WHERE key = $1 AND expires_at > now()`

const REMOVE = `DELETE FROM sessions.session WHERE key = $1 RETURNING record, expires_at > now() AS alive`

// Always in the same order, so that two processes that end the same sessions do not deadlock.
const REMOVE_ALL = `
  WITH doomed AS (SELECT key FROM sessions.session WHERE key = ANY($1) ORDER BY key FOR UPDATE)
  DELETE FROM sessions.session WHERE key IN (SELECT key FROM doomed) RETURNING expires_at > now() AS alive`

const COUNT = `
  SELECT CASE WHEN bool_or(key = $2) THEN count(*)::int ELSE 0 END AS listed
  FROM sessions.session WHERE owner = $1 AND expires_at > now()`

const LIST = `
  SELECT key, split_part(record, E'\\n', 1) AS head, until::float8,
    extract(epoch FROM expires_at - now())::float8 * 1000 AS left_ms
  FROM sessions.session WHERE owner = $1 AND expires_at > now() AND (until, key) > ($2, $3)
  ORDER BY until, key LIMIT ${PAGE}`

/** Creates or updates the schema `sessions` in Postgres. Part of the release. Two may run at the same time. */
export async function migrateSessions(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    await client.query(SCHEMA)
  } finally {
    await client.end()
  }
}

/** Sessions in Postgres, in the table that `migrateSessions` has made. */
export async function openStore(url: string): Promise<SessionStore> {
  const pool = new Pool({
    connectionString: url,
    // Postgres starts a process for each connection, and after an outage first for all that were tried meanwhile. With ten
    // connections, nothing was answered for more than half a second after it was back.
    max: 5,
    // Longer than the guard's deadline, so that silence is a missed deadline. An earlier failure would count as an answer.
    connectionTimeoutMillis: 1000,
    query_timeout: 1000,
    application_name: 'sessions',
  })
  const clients = new Set<PoolClient>()

  // Without a listener, an idle connection that Postgres closes would end the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => clients.add(client))
  pool.on('remove', (client) => clients.delete(client))

  function query(name: string, text: string, values: unknown[]): Promise<QueryResult<Row>> {
    return pool.query<Row>({ name, text, values })
  }

  return {
    async load(key, ttlMs) {
      const { rows } = await query('load', LOAD, [key, ttlMs]).catch((error: { code?: string }) => {
        // A standby, or a server with a full disk, can still read.
        if (error.code === READ_ONLY || error.code === DISK_FULL) return query('read', READ, [key])
        throw error
      })
      return rows[0]?.record ?? null
    },

    async create(key, record, ttlMs, owner) {
      const place = randomBytes(32).toString('base64url')
      const values = [key, ttlMs, record, owner?.key, place, owner?.until ?? 0]
      const { rowCount } = await query('create', CREATE, values)
      if (rowCount === 0) return 'taken'
      if (!owner) return { listed: 0 }
      // A separate statement: of many sign-ins at the same moment, the last one counts all of them.
      const [{ listed }] = (await query('count', COUNT, [owner.key, key])).rows as [Row]
      return listed > 0 ? { listed } : 'gone'
    },

    async patch(key, { lines, expect }, ttlMs) {
      const [names, jsons] = [lines.map(([name]) => name), lines.map(([, json]) => json)]
      for (;;) {
        const { rowCount } = await query('patch', PATCH, [key, ttlMs, names, jsons, expect?.[0], expect?.[1]])
        if (rowCount === 1) return 'done'
        const [found] = (await query('read', READ, [key])).rows
        if (!found) return 'gone'
        if (expect) return { conflict: found.record }
      }
    },

    async remove(key) {
      const [found] = (await query('remove', REMOVE, [key])).rows
      return found?.alive ? found.record : null
    },

    async removeAll(keys) {
      const { rows } = await query('remove all', REMOVE_ALL, [keys])
      return rows.filter(({ alive }) => alive).length
    },

    async list(ownerKey, next) {
      const { rows } = await query('list', LIST, [ownerKey, next?.until ?? -1, next?.key ?? ''])
      const sessions = rows.map(({ key, head, until, left_ms }) => ({ key, head, leftMs: left_ms, until }))
      return { sessions, next: sessions.length < PAGE ? undefined : sessions.at(-1) }
    },

    async check() {
      await query('check', 'SELECT FROM sessions.session LIMIT 0', [])
    },

    connection: {
      postgres: { query: async (text, values) => (await pool.query(text, [...values])).rows },
    },

    async [Symbol.asyncDispose]() {
      // A frozen server does not close its connections, and they would keep the process alive.
      setTimeout(() => clients.forEach(cut), 500).unref()
      await pool.end()
    },
  }
}

interface Row {
  key: string
  record: string
  head: string
  until: number
  alive: boolean
  listed: number
  left_ms: number
}

function cut(client: PoolClient): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}
