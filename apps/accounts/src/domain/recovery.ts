import type { Accounts, RequestSession } from './accounts.ts'
import { parseEmail } from './email.ts'
import { LinkInvalid, readLink, useLink, type MailsLinks } from './mailed-link.ts'
import { assertSuitable } from './password.ts'
import { noteEvent } from './security-events.ts'

/**
 * Mails a link with which the owner of an account chooses a new password. Neither the answer nor the work tells whether
 * there is an account with this email: the worker looks for it.
 *
 * @throws ACCOUNT_EMAIL_INVALID
 */
export async function requestReset(
  { database, mailLink }: Accounts & MailsLinks,
  email: string,
): Promise<void> {
  const parsed = parseEmail(email)
  await database.$transaction((tx) => mailLink(tx, { purpose: 'reset', email: parsed }))
}

/**
 * Stores the new password of whoever has a valid link, and ends all their sessions. Nobody is signed in by it: the link may
 * have been read by others, and the next sign-in shows that the owner knows the password.
 *
 * Either all of that happens, or the password and the link stay as they are.
 *
 * @throws LINK_INVALID, PASSWORD_COMMON, PASSWORD_PERSONAL, PASSWORDS_BUSY
 */
export async function resetPassword(
  { database, passwords, devices, host, listeners }: Accounts,
  reset: { token: string; next: string; network: string },
  session: Pick<RequestSession, 'endAll' | 'origin'>,
): Promise<{ device: string }> {
  // Before the password is hashed: a wrong link costs nothing.
  const { email } = await readLink(database, 'reset', reset.token)
  assertSuitable(reset.next, [email, host])
  const passwordHash = await passwords.hash(reset.next, reset.network)

  const userId = await database.$transaction(async (tx) => {
    const link = await useLink(tx, 'reset', reset.token)
    // The email may have been changed since: then the link was mailed to somebody else.
    const { count } = await tx.user.updateMany({
      where: { id: link.userId, email: link.email, lockedAt: null },
      data: { passwordHash, emailVerifiedAt: new Date() },
    })
    if (count === 0) throw new LinkInvalid()
    const user = { id: link.userId, email: link.email }
    for (const listener of listeners) await listener(tx, 'password-changed', user)
    await noteEvent(tx, session.origin, 'password-reset', link.userId)
    // A concurrent sign-in with the old password waits for the end of this transaction.
    await session.endAll({ id: link.userId })
    return link.userId
  })
  return { device: devices.issue({ id: userId, passwordHash }) }
}
