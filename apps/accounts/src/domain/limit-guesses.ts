import { hash } from 'node:crypto'
import createError from '@fastify/error'
import { Prisma, type Database } from '../database.ts'

const HOUR_MS = 60 * 60_000

/** So many wrong answers at once, and then one more each `everyMs` (the generic cell rate algorithm). */
export interface GuessLimit {
  attempts: number
  everyMs: number
}

/**
 * A day of guessing at one account brings 124 wrong passwords from all strangers together, and 24 each day after.
 *
 * `guesser`: at one account from one network, with one browser that has signed in to it, or in one session.
 * `account`: at one account from everywhere, by browsers that have never signed in to it.
 * `network`: from one network, at whatever account. A whole office may sit behind it.
 *
 * The guesser's pace is no faster than the account's: a single network never uses up what all strangers share.
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

/** Who guesses. A browser that is known, and a session, are counted apart from all strangers. */
export type Guesser =
  /** Whether anybody has the email makes no difference. Without one the guess is at what exists, not at a password. */
  { network: string; email?: string } | { device: string } | { session: string }

/**
 * Runs a check that must not be repeated at will. When it says no (null), that counts against the guesser, in the
 * database, so that all processes together allow what one may.
 *
 * At the limit the check is not run, and so even the right password is refused: whoever guesses would otherwise go on
 * and know the right one by its different answer.
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
    // Of a hundred sent at once each found the others not yet counted: only the first ten learn that they were wrong.
    // One by one, the narrowest first, so that those who learn nothing use up nothing that others share.
    for (const counter of counters) await countFailure(database, counter)
    await forgetExpired(database)
  } else if (counters.some(isOfGuesser)) {
    await refuseAtLimit(database, counters)
    // What others share stays: with an account, or a browser, of their own anybody could wipe off all their guesses.
    const key = { in: counters.filter(isOfGuesser).map(({ key }) => key) }
    await database.signInFailures.deleteMany({ where: { key } })
  }
  return result
}

interface Counter {
  kind: keyof typeof GUESS_LIMITS
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

/** A digest: what people type as their email is at times their password. */
function counter(kind: Counter['kind'], of: object): Counter {
  return { kind, key: `${kind}:${hash('sha256', JSON.stringify(of), 'base64url')}` }
}

function isOfGuesser({ kind }: Counter): boolean {
  return kind === 'guesser'
}

// `expires_at` is when all that was counted will be forgotten: each failure puts it off by the limit's `everyMs`, and
// whoever is so far ahead of the clock that no failure fits in any more waits. The clock is the database's: those of
// processes differ.

async function refuseAtLimit(database: Database, counters: Counter[]): Promise<void> {
  const keys = counters.map(({ key }) => key)
  const aheadMs = counters.map(({ kind }) => mostAheadMs(GUESS_LIMITS[kind]))
  const [found] = await database.$queryRaw<{ waitMs: number | null }[]>`
    SELECT max(extract(epoch FROM expires_at - now())::float8 * 1000 - ahead_ms) AS "waitMs"
    FROM sign_in_failures JOIN unnest(${keys}::text[], ${aheadMs}::float8[]) AS limits (key, ahead_ms) USING (key)`
  if (found?.waitMs && found.waitMs > 0) throw limited(found.waitMs)
}

/** @throws SIGN_IN_LIMITED when others have used up the limit since it was looked at; nothing is counted then. */
async function countFailure(database: Database, { kind, key }: Counter): Promise<void> {
  const limit = GUESS_LIMITS[kind]
  const counted = await database.$executeRaw`
    INSERT INTO sign_in_failures AS failures (key, count, expires_at) VALUES (${key}, 1, now() + ${interval(limit.everyMs)})
    ON CONFLICT (key) DO UPDATE SET
      count = CASE WHEN failures.expires_at > now() THEN failures.count + 1 ELSE 1 END,
      expires_at = greatest(failures.expires_at, now()) + ${interval(limit.everyMs)}
    WHERE failures.expires_at <= now() + ${interval(mostAheadMs(limit))}`
  if (counted === 0) throw limited(limit.everyMs)
}

/** A failure adds three rows at most and takes up to ten away, so the table stays as small as what it is about. */
async function forgetExpired(database: Database): Promise<void> {
  await database.$executeRaw`
    DELETE FROM sign_in_failures WHERE key IN (
      SELECT key FROM sign_in_failures WHERE expires_at <= now()
      ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)`
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
