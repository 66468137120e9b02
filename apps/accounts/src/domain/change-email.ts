import { AccountGone, EmailTaken, type Accounts } from './accounts.ts'
import { parseEmail } from './email.ts'
import { useLink, type MailsLinks } from './mailed-link.ts'
import { noteEvent, type Origin } from './security-events.ts'

/**
 * Mails a link that proves that a signed-in user reads an email: a new one, or the present one once more. Until the link is
 * used, the account keeps the email that it has. That another account has the new one is told only to who reads it.
 *
 * @throws ACCOUNT_EMAIL_INVALID
 */
export async function requestEmail(
  { database, mailLink }: Accounts & MailsLinks,
  { userId, email }: { userId: string; email: string },
): Promise<void> {
  const parsed = parseEmail(email)
  await database.$transaction((tx) => mailLink(tx, { purpose: 'confirm', email: parsed, userId }))
}

/**
 * Gives an account the email that a link proves. The old one, if it is another, is told.
 *
 * @throws LINK_INVALID, ACCOUNT_EMAIL_TAKEN when another account got this email meanwhile
 */
export async function confirmEmail(
  { database, listeners }: Accounts,
  token: string,
  origin: Origin,
): Promise<void> {
  await database.$transaction(async (tx) => {
    const { userId, email } = await useLink(tx, 'confirm', token)
    const before = await tx.user.findUnique({ where: { id: userId }, select: { email: true } })
    if (!before) throw new AccountGone()
    await tx.user
      .update({ where: { id: userId }, data: { email, emailVerifiedAt: new Date() } })
      .catch((error: { code?: string }) => {
        throw error.code === 'P2002' ? new EmailTaken() : error
      })
    const isNew = before.email !== email
    await noteEvent(tx, origin, isNew ? 'email-changed' : 'email-confirmed', userId)
    if (!isNew) return
    for (const listener of listeners) await listener(tx, 'email-changed', { id: userId, ...before })
  })
}
