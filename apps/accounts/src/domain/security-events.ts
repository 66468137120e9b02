import { randomUUID } from 'node:crypto'
import { Prisma, type Database, type Transaction } from '../database.ts'

/** What is noted of an account, and shown to its owner (OWASP ASVS 5, 16.3). */
export type EventKind =
  | 'signed-up'
  | 'signed-in'
  | 'sign-in-failed'
  | 'proof-failed'
  | 'password-changed'
  | 'password-reset'
  | 'email-changed'
  | 'email-confirmed'
  | 'session-ended'
  | 'sessions-ended'
  | 'roles-changed'
  | 'locked'
  | 'unlocked'

/** Who did it, and from where. */
export interface Origin {
  network: string
  userAgent: string
  /** What this request has noted so far. It goes to the log when the request is answered. */
  noted: { event: EventKind; userId: string | null }[]
}

export interface SecurityEvent {
  id: string
  event: EventKind
  at: Date
  network: string
  userAgent: string
}

/** How long an event is kept. */
export const KEPT_DAYS = 90
/** How many old events go with a new one. More than one, so that they become fewer. */
const REMOVED = 10
/** A user agent may have any length. */
const MAX_AGENT_LENGTH = 200
const SHOWN = 100

/**
 * Notes an event in the transaction that it belongs to: there is no event without its change, and no change without it. The
 * oldest events of all accounts go with it after their time, and those that another transaction removes at this moment are
 * left to it.
 */
export async function noteEvent(
  tx: Database | Transaction,
  origin: Origin,
  event: EventKind,
  userId: string,
): Promise<void> {
  await tx.$executeRaw`
    WITH old AS MATERIALIZED (
      SELECT id FROM security_events WHERE at < now() - make_interval(days => ${KEPT_DAYS}::int)
      ORDER BY at LIMIT ${REMOVED} FOR UPDATE SKIP LOCKED
    ),
    removed AS (DELETE FROM security_events WHERE id IN (SELECT id FROM old))
    ${insertion(origin, event)} FROM users WHERE id = ${userId}`
  origin.noted.push({ event, userId })
}

/**
 * Notes a failure. It takes the same statement and the same time whether there is an account, and that is told to nobody: the
 * row of an account is not waited for until it is on the disk, so a crash of Postgres may lose the failures of its last
 * moment. For an email without an account, only the log knows.
 */
export async function noteFailure(
  database: Database,
  origin: Origin,
  event: EventKind,
  userId: string | null,
): Promise<void> {
  await database.$executeRaw`
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    ${insertion(origin, event)} FROM quick, users WHERE id = ${userId ?? ''}`
  origin.noted.push({ event, userId })
}

/** The newest 100 events of an account, newest first. */
export async function listEvents(database: Database, userId: string): Promise<SecurityEvent[]> {
  return database.$queryRaw`
    SELECT id, kind AS event, at, network, user_agent AS "userAgent" FROM security_events
    WHERE user_id = ${userId} ORDER BY at DESC, id LIMIT ${SHOWN}`
}

/** Wants the `FROM users` of whose event it is. */
function insertion({ network, userAgent }: Origin, event: EventKind): Prisma.Sql {
  return Prisma.sql`
    INSERT INTO security_events (id, user_id, kind, network, user_agent)
    SELECT ${randomUUID()}, users.id, ${event}, ${network}, ${userAgent.slice(0, MAX_AGENT_LENGTH)}`
}
