import { AccountGone, type Accounts, type RequestSession } from './accounts.ts'

/**
 * Closes an account for good: removes it with all that belongs to it, ends all its sessions, and tells its owner by mail.
 * Either all of that happens, or nothing.
 *
 * @throws ACCOUNT_GONE
 */
export async function closeAccount(
  { database, outbox }: Accounts,
  userId: string,
  session: Pick<RequestSession, 'endAll'>,
): Promise<void> {
  await database.$transaction(async (tx) => {
    const [closed] = await tx.$queryRaw<
      { email: string }[]
    >`DELETE FROM users WHERE id = ${userId} RETURNING email`
    if (!closed) throw new AccountGone()
    // What else a person leaves behind is removed here, in the same transaction.
    await outbox.notice(tx, 'account-closed', closed.email)
    await session.endAll({ id: userId })
  })
}
