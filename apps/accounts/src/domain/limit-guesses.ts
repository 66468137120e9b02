import { createHash } from 'node:crypto'
import createError from '@fastify/error'
import { Prisma, type Database } from '@repo/database'
import { networkOf } from './network.ts'

/**
 * Ten wrong passwords for one account; a hundred wrong answers for one network, behind which a whole office may sit.
 * Then nothing is checked until the window, which the first of them opened, has passed.
 *
 * @see NIST SP 800-63B, rate limiting (throttling)
 */
export const GUESS_LIMIT = { perAccount: 10, perNetwork: 100, windowMs: 15 * 60_000 }

export const SignInLimited = createError(
  'SIGN_IN_LIMITED',
  'There were too many failed attempts. Please try again later.',
  429,
)

/** Who guesses, and whose password. */
export interface Guess {
  /** Where the request comes from. */
  address: string
  /** Whether anybody has it makes no difference. Left out when the guess is at what exists, not at a password. */
  email?: string
}

/**
 * Runs a check that must not be repeated at will. When it says no (null), that counts against the guess's account and
 * network, in the database, so that all processes together allow what one may.
 *
 * At the limit the check is not run, and so even the right password is refused: whoever guesses would otherwise go on
 * and know the right one by its different answer.
 *
 * @throws SIGN_IN_LIMITED with `retry-after`
 */
export async function limitGuesses<T>(
  database: Database,
  { address, email }: Guess,
  check: () => Promise<T | null>,
): Promise<T | null> {
  const network = keyOf('network', networkOf(address))
  const account = email === undefined ? [] : [keyOf('account', email)]
  const all = [...account, network]

  refuseAtLimit(await listFailures(database, all))
  const result = await check()

  if (result === null) {
    // Of a hundred sent at once each found the others not yet counted: only the first ten learn that they were wrong.
    refuseAtLimit(await countFailure(database, all))
    await forgetExpired(database)
  } else if (account.length > 0) {
    refuseAtLimit(await listFailures(database, account))
    // The network's stay: with an account of their own, anybody could wipe off their guesses at all others.
    await database.signInFailures.deleteMany({ where: { key: { in: account } } })
  }
  return result
}

interface Failures {
  key: string
  count: number
  waitMs: number
}

function refuseAtLimit(failures: Failures[]): void {
  const isAtLimit = ({ key, count }: Failures): boolean =>
    count >= (key.startsWith('account:') ? GUESS_LIMIT.perAccount : GUESS_LIMIT.perNetwork)
  const waitMs = failures.filter(isAtLimit).map((failure) => failure.waitMs)
  if (waitMs.length === 0) return
  const retryAfter = `${Math.ceil(Math.max(...waitMs) / 1000)}`
  throw Object.assign(new SignInLimited(), { headers: { 'retry-after': retryAfter } })
}

// Time is the database's: the clocks of processes differ.
const waitMs = Prisma.sql`ceil(extract(epoch FROM expires_at - now()) * 1000)::int AS "waitMs"`

function listFailures(database: Database, keys: string[]): Promise<Failures[]> {
  return database.$queryRaw`
    SELECT key, count, ${waitMs} FROM sign_in_failures WHERE key = ANY(${keys}) AND expires_at > now()`
}

/** Returns what had been counted before. In one statement, keys in order, so that no two wait for each other. */
function countFailure(database: Database, keys: string[]): Promise<Failures[]> {
  return database.$queryRaw`
    INSERT INTO sign_in_failures AS failures (key, count, expires_at)
    SELECT key, 1, now() + ${GUESS_LIMIT.windowMs}::float8 * interval '1 millisecond'
    FROM unnest(${keys}::text[]) AS key ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
      count = CASE WHEN failures.expires_at > now() THEN failures.count + 1 ELSE 1 END,
      expires_at = CASE WHEN failures.expires_at > now() THEN failures.expires_at ELSE excluded.expires_at END
    RETURNING key, count - 1 AS count, ${waitMs}`
}

/** A failure adds two rows at most and takes up to ten away, so the table stays as small as what it is about. */
async function forgetExpired(database: Database): Promise<void> {
  await database.$executeRaw`
    DELETE FROM sign_in_failures WHERE key IN (
      SELECT key FROM sign_in_failures WHERE expires_at <= now()
      ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)`
}

/** A digest: what people type as their email is at times their password. */
function keyOf(kind: 'account' | 'network', name: string): string {
  return `${kind}:${createHash('sha256').update(name).digest('base64url')}`
}
