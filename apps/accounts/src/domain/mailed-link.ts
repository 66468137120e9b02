import { createHmac, hash, hkdfSync } from 'node:crypto'
import createError from '@fastify/error'
import { Prisma, type Database, type Transaction } from '../database.ts'

const HOUR_MS = 60 * 60_000

/** What a link is for: `confirm` proves that its owner reads the email, `reset` also lets them choose a password. */
export type LinkPurpose = 'confirm' | 'reset'

/** What functions need that have links mailed. */
export interface MailsLinks {
  /**
   * Enqueues a mail with a link, in the transaction that makes it necessary. Without `userId` it goes to the account with this
   * email, and nowhere if there is none.
   */
  mailLink(tx: Transaction, link: { purpose: LinkPurpose; email: string; userId?: string }): Promise<void>
}

/**
 * How long a link is valid after somebody asked for it, in milliseconds.
 *
 * @see NIST SP 800-63B-4, 4.2.1.2: a recovery code that is sent to an email address is valid for at most 24 hours
 */
export const LINK_LIFETIME_MS: Readonly<Record<LinkPurpose, number>> = {
  confirm: 24 * HOUR_MS,
  reset: HOUR_MS,
}

export const LinkInvalid = createError(
  'LINK_INVALID',
  'This link is not valid any more. Ask for a new one.',
  400,
)

/** The link that a mail is about to carry. */
export interface LinkToMail {
  userId: string
  purpose: LinkPurpose
  /** The address that the mail goes to, and that the link proves. */
  email: string
  token: string
  requestedAt: Date
}

/**
 * Makes the token of a link: 256 bits that only processes with the secret can compute, from what made the mail necessary. So a
 * job that runs again mails the same link, and its payload opens nothing.
 *
 * @param secret the newest of `SESSION_SECRETS`. A link that has been mailed stays valid when it is replaced.
 */
export function createTokens(secret: string): (cause: string) => string {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'accounts.mailed-link', 32))
  return (cause) => createHmac('sha256', key).update(cause).digest('base64url')
}

/** Whose link it is, and the email that it proves. */
export interface OpenedLink {
  userId: string
  email: string
}

/**
 * Makes a link valid, and the earlier one of the same purpose invalid. Part of the job that mails it, before it is mailed.
 *
 * False when it must not be mailed: it has expired or was used already, or since it was asked for there was a newer link or
 * a new password, or the account was locked.
 */
export async function issueLink(
  tx: Transaction,
  { userId, purpose, email, token, requestedAt }: LinkToMail,
): Promise<boolean> {
  const expiresAt = new Date(requestedAt.getTime() + LINK_LIFETIME_MS[purpose])
  const issued = await tx.$executeRaw`
    INSERT INTO mailed_links AS link (user_id, purpose, digest, email, requested_at, expires_at)
    SELECT id, ${purpose}, ${digestOf(token)}, ${email}, ${requestedAt}::timestamptz, ${expiresAt}::timestamptz FROM users
    WHERE id = ${userId} AND locked_at IS NULL AND now() < ${expiresAt}::timestamptz
      AND ${requestedAt}::timestamptz > coalesce(password_changed_at, '-infinity')
    ON CONFLICT (user_id, purpose) DO UPDATE SET
      digest = excluded.digest, email = excluded.email, requested_at = excluded.requested_at,
      expires_at = excluded.expires_at, used_at = NULL
    WHERE link.requested_at < excluded.requested_at OR (link.digest = excluded.digest AND link.used_at IS NULL)`
  return issued === 1
}

/** Looks a link up, which changes nothing. @throws LINK_INVALID */
export async function readLink(database: Database, purpose: LinkPurpose, token: string): Promise<OpenedLink> {
  const [found] = await database.$queryRaw<OpenedLink[]>`
    SELECT user_id AS "userId", link.email ${fromValidLink(purpose, token)}`
  if (!found) throw new LinkInvalid()
  return found
}

/** Uses a link up. Of two requests with the same link, one gets it. @throws LINK_INVALID */
export async function useLink(tx: Transaction, purpose: LinkPurpose, token: string): Promise<OpenedLink> {
  const [used] = await tx.$queryRaw<OpenedLink[]>`
    UPDATE mailed_links AS used SET used_at = now() WHERE used_at IS NULL AND digest IN (
      SELECT digest ${fromValidLink(purpose, token)})
    RETURNING user_id AS "userId", email`
  if (!used) throw new LinkInvalid()
  return used
}

/** Makes all links invalid that were asked for until now: part of every change of the password. */
export async function endLinks(tx: Transaction, { id }: { id: string }): Promise<void> {
  await tx.user.update({ where: { id }, data: { passwordChangedAt: new Date() } })
}

function fromValidLink(purpose: LinkPurpose, token: string): Prisma.Sql {
  return Prisma.sql`
    FROM mailed_links AS link JOIN users ON users.id = link.user_id
    WHERE digest = ${digestOf(token)} AND purpose = ${purpose} AND used_at IS NULL AND now() < expires_at AND locked_at IS NULL
      AND requested_at > coalesce(password_changed_at, '-infinity')`
}

function digestOf(token: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hash('sha256', token, 'buffer'))
}
