import { createHash } from 'node:crypto'
import createError from '@fastify/error'
import type { Database } from '@repo/database'
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
  const account = email === undefined ? undefined : keyOf('account', email)
  const keys = account ? [account, network] : [network]

  // Counted before it is known: of a hundred guesses sent at once, each would find the others not yet counted.
  refuseBeyondLimit(await countFailures(database, keys))
  let result: T | null
  try {
    result = await check()
  } catch (error) {
    // Nobody knows whether it was right. To be told "try again later" is no guess.
    for (const key of keys) await uncount(database, key)
    throw error
  }
  if (result === null) await forgetExpired(database)
  else {
    // The network's other failures stay: with an account of their own, anybody could wipe them off.
    await uncount(database, network)
    if (account) await database.signInFailures.deleteMany({ where: { key: account } })
  }
  return result
}

interface Failures {
  key: string
  count: number
  waitMs: number
}

function refuseBeyondLimit(failures: Failures[]): void {
  const waitMs = failures
    .filter(
      ({ key, count }) =>
        count > (key.startsWith('account:') ? GUESS_LIMIT.perAccount : GUESS_LIMIT.perNetwork),
    )
    .reduce((longest, { waitMs }) => Math.max(longest, waitMs), 0)
  if (waitMs === 0) return
  throw Object.assign(new SignInLimited(), { headers: { 'retry-after': `${Math.ceil(waitMs / 1000)}` } })
}

/** One statement, by the database's clock. Keys in order, so that two of them never wait for each other. */
async function countFailures(database: Database, keys: string[]): Promise<Failures[]> {
  return database.$queryRaw<Failures[]>`
    INSERT INTO sign_in_failures AS failures (key, count, expires_at)
    SELECT key, 1, now() + ${GUESS_LIMIT.windowMs}::float8 * interval '1 millisecond'
    FROM unnest(${keys}::text[]) AS key ORDER BY key
    ON CONFLICT (key) DO UPDATE SET
      count = CASE WHEN failures.expires_at > now() THEN failures.count + 1 ELSE 1 END,
      expires_at = CASE WHEN failures.expires_at > now() THEN failures.expires_at ELSE excluded.expires_at END
    RETURNING key, count, ceil(extract(epoch FROM expires_at - now()) * 1000)::int AS "waitMs"`
}

async function uncount(database: Database, key: string): Promise<void> {
  await database.signInFailures.updateMany({
    where: { key, count: { gt: 0 } },
    data: { count: { decrement: 1 } },
  })
}

/** A failure adds two rows at most and takes up to ten away, so the table stays as small as what it is about. */
async function forgetExpired(database: Database): Promise<void> {
  await database.$executeRaw`
    DELETE FROM sign_in_failures WHERE key IN (
      SELECT key FROM sign_in_failures WHERE expires_at <= now()
      ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED)`
}

/** A digest: what people type as their e-mail is at times their password. */
function keyOf(kind: 'account' | 'network', name: string): string {
  return `${kind}:${createHash('sha256').update(name).digest('base64url')}`
}
