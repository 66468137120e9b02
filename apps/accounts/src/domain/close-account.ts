import { AccountGone, type Accounts, type RequestSession } from './accounts.ts'
import type { Transaction } from '../database.ts'

/**
 * What is done in the transaction that closes an account, so that nothing of the person is left: a service adds itself here.
 */
export type Forget = (tx: Transaction, user: { id: string }) => Promise<void>

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
  forget: readonly Forget[] = [],
): Promise<void> {
  await database.$transaction(async (tx) => {
    const [closed] = await tx.$queryRaw<
      { email: string }[]
    >`DELETE FROM users WHERE id = ${userId} RETURNING email`
    if (!closed) throw new AccountGone()
    for (const step of forget) await step(tx, { id: userId })
    await outbox.notice(tx, 'account-closed', closed.email)
    await session.endAll({ id: userId })
  })
}
