import { hash } from 'node:crypto'
import createError from '@fastify/error'
import { Prisma, type Database, type Transaction } from '../database.ts'

const HOUR_MS = 60 * 60_000

/** `attempts` wrong answers at once, and then one more every `everyMs` (the generic cell rate algorithm). */
export interface GuessLimit {
  attempts: number
  everyMs: number
}

/**
 * All unknown browsers together can try 124 wrong passwords for one account on the first day, and 24 on each later day.
 *
 * - `guesser`: for one account from one network, with one browser that has signed in to it, or in one session.
 * - `account`: for one account from everywhere, by browsers that have never signed in to it.
 * - `network`: from one network, for any account. A whole office may share the network.
 *
 * The rate of `guesser` is not higher than that of `account`, so one network never uses up what all unknown browsers share.
 *
 * @see NIST SP 800-63B-4, rate limiting (throttling): at most 100 wrong ones in a row, and a wait of up to an hour
 */
export const GUESS_LIMITS = {
  guesser: { attempts: 10, everyMs: HOUR_MS },
  account: { attempts: 100, everyMs: HOUR_MS },
  network: { attempts: 100, everyMs: 9_000 },
} as const satisfies Record<string, GuessLimit>

export const SignInLimited = createError(
  'SIGN_IN_LIMITED',
  'There were too many failed attempts. Please try again later, or in a browser that you have signed in with before.',
  429,
)

/** Who guesses. A known browser and a session are counted separately from all unknown browsers. */
export type Guesser =
  /** Whether an account has the email makes no difference. Without one, the guess is whether an account exists. */
  { network: string; email?: string } | { device: string } | { session: string }

/**
 * Runs a check that must not be repeated without limit. A result of null is counted as a failure of the guesser. The count
 * is in the database, so the limit holds for all processes together.
 *
 * At the limit the check does not run, so even the right password is refused. Otherwise a guesser could continue, and would
 * recognize the right password by its different answer.
 *
 * @throws SIGN_IN_LIMITED with `retry-after`
 */
export async function limitGuesses<T>(
  database: Database,
  guesser: Guesser,
  check: () => Promise<T | null>,
): Promise<T | null> {
  const counters = countersOf(guesser)

  await refuseAtLimit(database, counters)
  const result = await check()

  if (result === null) {
    // A hundred concurrent requests all run their check before any is counted; only the first ten learn that they were
    // wrong. The narrowest counter goes up first: a request that it refuses adds nothing to the shared counters.
    for (const counter of counters) await countFailure(database, counter)
    await forgetExpired(database)
  } else if (counters.some(isOfGuesser)) {
    await refuseAtLimit(database, counters)
    // Shared counters stay. Otherwise a guesser with an account, or a known browser, of their own could reset them.
    const key = { in: counters.filter(isOfGuesser).map(({ key }) => key) }
    await database.signInFailures.deleteMany({ where: { key } })
  }
  return result
}

// keep: mail
/** How many mails anybody can have sent to one account: a stranger must not fill its owner's mailbox. */
export const MAIL_LIMIT: GuessLimit = { attempts: 5, everyMs: HOUR_MS }

/** Counts a mail that somebody asked for. False when it must not be sent: there were too many for this email. */
export async function countMail(tx: Transaction, email: string): Promise<boolean> {
  return await count(tx, counter('mail', { email }).key, MAIL_LIMIT)
}
// /keep

interface Counter<Kind = keyof typeof GUESS_LIMITS> {
  kind: Kind
  key: string
}

function countersOf(guesser: Guesser): Counter[] {
  if (!('network' in guesser)) return [counter('guesser', guesser)]
  const { network, email } = guesser
  if (email === undefined) return [counter('network', { network })]
  return [
    counter('guesser', { network, email }),
    counter('network', { network }),
    counter('account', { email }),
  ]
}

/** The key is a digest, because users sometimes type their password as their email. */
function counter<Kind extends string>(kind: Kind, of: object): Counter<Kind> {
  return { kind, key: `${kind}:${hash('sha256', JSON.stringify(of), 'base64url')}` }
}

function isOfGuesser({ kind }: Counter): boolean {
  return kind === 'guesser'
}

// `expires_at` is the time when all counted failures will be forgotten. Each failure moves it by the limit's `everyMs`. When
// it is so far ahead of the clock that no further failure fits in, the guesser must wait. The clock is that of the database,
// because the clocks of processes differ.

async function refuseAtLimit(database: Database, counters: Counter[]): Promise<void> {
  const keys = counters.map(({ key }) => key)
  const aheadMs = counters.map(({ kind }) => mostAheadMs(GUESS_LIMITS[kind]))
  const [found] = await database.$queryRaw<{ waitMs: number | null }[]>`
    SELECT max(extract(epoch FROM expires_at - now())::float8 * 1000 - ahead_ms) AS "waitMs"
    FROM sign_in_failures JOIN unnest(${keys}::text[], ${aheadMs}::float8[]) AS limits (key, ahead_ms) USING (key)`
  if (found?.waitMs && found.waitMs > 0) throw limited(found.waitMs)
}

/** @throws SIGN_IN_LIMITED when concurrent requests have used up the limit since it was checked; it counts nothing then. */
async function countFailure(database: Database, { kind, key }: Counter): Promise<void> {
  if (!(await count(database, key, GUESS_LIMITS[kind]))) throw limited(GUESS_LIMITS[kind].everyMs)
}

/** False at the limit: then nothing is counted. */
async function count(database: Database | Transaction, key: string, limit: GuessLimit): Promise<boolean> {
  const counted = await database.$executeRaw`
    INSERT INTO sign_in_failures AS failures (key, count, expires_at) VALUES (${key}, 1, now() + ${interval(limit.everyMs)})
    ON CONFLICT (key) DO UPDATE SET
      count = CASE WHEN failures.expires_at > now() THEN failures.count + 1 ELSE 1 END,
      expires_at = greatest(failures.expires_at, now()) + ${interval(limit.everyMs)}
    WHERE failures.expires_at <= now() + ${interval(mostAheadMs(limit))}`
  return counted === 1
}

/**
 * A failure adds at most three rows and removes up to ten expired ones, so expired rows do not pile up. The ten are chosen
 * once: a subquery with a limit may be run again for each row that it is compared with, and then all expired rows would go.
 */
async function forgetExpired(database: Database): Promise<void> {
  await database.$executeRaw`
    WITH expired AS MATERIALIZED (
      SELECT key FROM sign_in_failures WHERE expires_at <= now()
      ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)
    DELETE FROM sign_in_failures WHERE key IN (SELECT key FROM expired)`
}

function mostAheadMs({ attempts, everyMs }: GuessLimit): number {
  return (attempts - 1) * everyMs
}

function interval(ms: number): Prisma.Sql {
  return Prisma.sql`${ms}::float8 * interval '1 millisecond'`
}

function limited(waitMs: number): Error {
  return Object.assign(new SignInLimited(), { headers: { 'retry-after': `${Math.ceil(waitMs / 1000)}` } })
}
