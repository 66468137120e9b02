import { AccountGone, beginSession, checkPassword, type Accounts, type RequestSession } from './accounts.ts'

/**
 * Makes the session of a signed-in user fresh again, with the password (step-up authentication). The session gets a new id:
 * a stolen copy of the old one is not made fresh too, but ends.
 *
 * Wrong passwords are counted by `sessionId`, together with those at `changePassword`.
 *
 * @throws PASSWORD_WRONG, SIGN_IN_LIMITED, PASSWORDS_BUSY, ACCOUNT_GONE, and SIGN_IN_REFUSED when the password changes or the
 * account is locked meanwhile
 * @see OWASP ASVS 5, 7.5.1 and 7.5.3
 */
export async function proveIdentity(
  accounts: Accounts,
  proof: { userId: string; sessionId: string; password: string; network: string },
  session: RequestSession,
): Promise<void> {
  const user = await accounts.database.user.findUnique({ where: { id: proof.userId, lockedAt: null } })
  if (!user) throw new AccountGone()
  await checkPassword(accounts, user, proof, session.origin)
  await beginSession(accounts, user, proof, session)
}
