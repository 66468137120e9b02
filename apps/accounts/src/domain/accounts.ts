import createError from '@fastify/error'
import type { Database } from '@repo/database'
import { parseEmail } from './email.ts'
import { limitGuesses } from './limit-guesses.ts'
import type { PasswordHasher } from './password-hasher.ts'
import { assertSuitable } from './password.ts'

export interface User {
  id: string
  email: string
}

/** What the rules below work on. */
export interface Accounts {
  database: Database
  passwords: PasswordHasher
  /** Where browsers find the site, which makes no password. */
  host?: string
}

/** What somebody says who they are, and where they say it from. */
export interface Credentials {
  email: string
  password: string
  address: string
}

export const EmailTaken = createError(
  'ACCOUNT_EMAIL_TAKEN',
  'There is already an account with this email.',
  409,
)
export const SignInRefused = createError('SIGN_IN_REFUSED', 'Email or password is wrong.', 401)
export const PasswordWrong = createError('PASSWORD_WRONG', 'The current password is wrong.', 403)
export const AccountGone = createError('ACCOUNT_GONE', 'This account does not exist any more.', 401)

/**
 * Makes an account. That an email is taken is worth knowing to whoever guesses, so each time it is said counts as a
 * failed sign-in; new accounts are not limited here.
 *
 * @throws ACCOUNT_EMAIL_TAKEN, ACCOUNT_EMAIL_INVALID, PASSWORD_COMMON, PASSWORD_PERSONAL, SIGN_IN_LIMITED, PASSWORDS_BUSY
 */
export async function createAccount(
  { database, passwords, host = '' }: Accounts,
  { password, address, ...credentials }: Credentials,
): Promise<User> {
  const email = parseEmail(credentials.email)
  assertSuitable(password, [email, host])
  const user = await limitGuesses(database, { address }, async () => {
    const passwordHash = await passwords.hash(password)
    // Of two at the same moment, on whichever processes, the database takes one.
    const [created] = await database.user.createManyAndReturn({
      data: { email, passwordHash },
      skipDuplicates: true,
      select: { id: true, email: true },
    })
    return created ?? null
  })
  if (!user) throw new EmailTaken()
  return user
}

/**
 * Lets somebody in who knows the password: `begin` opens their session and `end` takes it back.
 *
 * No word and no work tells whether the account exists.
 *
 * @throws SIGN_IN_REFUSED, ACCOUNT_EMAIL_INVALID, SIGN_IN_LIMITED, PASSWORDS_BUSY
 */
export async function letIn(
  accounts: Accounts,
  { password, address, ...credentials }: Credentials,
  session: { begin(user: User): Promise<void>; end(): Promise<void> },
): Promise<User> {
  const { database, passwords } = accounts
  const email = parseEmail(credentials.email)
  const user = await limitGuesses(database, { address, email }, async () => {
    const found = await database.user.findUnique({ where: { email } })
    const isRight = await passwords.verify(password, found?.passwordHash ?? null)
    return isRight ? found : null
  })
  if (!user) throw new SignInRefused()

  if (passwords.needsRehash(user.passwordHash)) await storePassword(accounts, user, password)
  await session.begin({ id: user.id, email })
  // A change of the password ends all sessions; this one may have begun a moment after that, with the old password.
  const { passwordHash } = await database.user.findUniqueOrThrow({ where: { id: user.id } })
  if (passwordHash !== user.passwordHash && !(await passwords.verify(password, passwordHash))) {
    await session.end()
    throw new SignInRefused()
  }
  return { id: user.id, email }
}

/**
 * Puts another password in place of the current one and ends every other session.
 *
 * @throws PASSWORD_WRONG, PASSWORD_COMMON, PASSWORD_PERSONAL, SIGN_IN_LIMITED, PASSWORDS_BUSY, ACCOUNT_GONE
 */
export async function changePassword(
  accounts: Accounts,
  change: { userId: string; current: string; next: string; address: string },
  session: { endOthers(): Promise<void> },
): Promise<void> {
  const { database, passwords, host = '' } = accounts
  const user = await database.user.findUnique({ where: { id: change.userId } })
  if (!user) throw new AccountGone()
  assertSuitable(change.next, [user.email, host])
  const isRight = await limitGuesses(
    database,
    { address: change.address, email: user.email },
    async () => (await passwords.verify(change.current, user.passwordHash)) || null,
  )
  if (!isRight) throw new PasswordWrong()

  // Before, so that neither a store that is away nor a crash leaves somebody in whom the new password should keep out;
  // and after, for whoever came in by the old one in between.
  await session.endOthers()
  if (!(await storePassword(accounts, user, change.next))) return changePassword(accounts, change, session)
  await session.endOthers()
}

/** @throws ACCOUNT_GONE */
export async function readUser({ database }: Accounts, id: string): Promise<User> {
  const user = await database.user.findUnique({ where: { id }, select: { id: true, email: true } })
  if (!user) throw new AccountGone()
  return user
}

/** False when another password has been stored since `user` was read: it is never overwritten. */
async function storePassword(
  { database, passwords }: Accounts,
  user: { id: string; passwordHash: string },
  password: string,
): Promise<boolean> {
  const passwordHash = await passwords.hash(password)
  const { count } = await database.user.updateMany({
    where: { id: user.id, passwordHash: user.passwordHash },
    data: { passwordHash },
  })
  return count === 1
}
