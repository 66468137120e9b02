import { AccountGone, type Accounts, type RequestSession } from './accounts.ts'

/**
 * Closes an account for good: removes it with all that belongs to it, and ends all its sessions. Either all of that happens,
 * with what the listeners do, or nothing.
 *
 * @throws ACCOUNT_GONE
 */
export async function closeAccount(
  { database, listeners }: Accounts,
  userId: string,
  session: Pick<RequestSession, 'endAll'>,
): Promise<void> {
  await database.$transaction(async (tx) => {
    const [closed] = await tx.$queryRaw<
      { email: string }[]
    >`DELETE FROM users WHERE id = ${userId} RETURNING email`
    if (!closed) throw new AccountGone()
    for (const listener of listeners) await listener(tx, 'account-closed', { id: userId, ...closed })
    await session.endAll({ id: userId })
  })
}
