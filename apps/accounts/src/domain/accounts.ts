import createError from '@fastify/error'
import type { Database, Transaction } from '../database.ts'
import type { DeviceCookie } from './device-cookie.ts'
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
  devices: DeviceCookie
  /** Where browsers find the site, whose name makes no password. */
  host: string
}

/** Who somebody says they are, and where they say it from. */
export interface Credentials {
  email: string
  password: string
  network: string
}

/** The session of the request that a rule is asked by. */
export interface RequestSession {
  /** Signs the person in under a new session id, and stores that before it resolves. */
  begin(user: { id: string }): Promise<void>
  end(): Promise<void>
  /** Ends every other session of a person. */
  endOthers(user: { id: string }): Promise<void>
}

/** Somebody who is signed in, and the cookie by which their browser is known from now on. */
export interface SignedIn {
  user: User
  device: string
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
 * Makes an account whose owner is signed in; without a session there is no account either. That an email is taken is
 * worth knowing to whoever guesses, so each time it is said counts as a failed sign-in; how many accounts a network may make
 * is the route's to say.
 *
 * @throws ACCOUNT_EMAIL_TAKEN, ACCOUNT_EMAIL_INVALID, PASSWORD_COMMON, PASSWORD_PERSONAL, SIGN_IN_LIMITED, PASSWORDS_BUSY
 */
export async function createAccount(
  { database, passwords, devices, host }: Accounts,
  { password, network, ...credentials }: Credentials,
  session: RequestSession,
): Promise<SignedIn> {
  const email = parseEmail(credentials.email)
  assertSuitable(password, [email, host])
  const user = await limitGuesses(database, { network }, async () => {
    const passwordHash = await passwords.hash(password, network)
    return failClosed(session, (begin) =>
      database.$transaction(async (tx) => {
        // Of two at the same moment, on whichever processes, the database takes one.
        const [created] = await tx.user.createManyAndReturn({
          data: { email, passwordHash },
          skipDuplicates: true,
        })
        if (created) await begin(created)
        return created ?? null
      }),
    )
  })
  if (!user) throw new EmailTaken()
  return { user: { id: user.id, email }, device: devices.issue(user) }
}

/**
 * Lets somebody in who knows the password. `device` is the cookie of their browser, if it has one.
 *
 * No word and no work tells whether the account exists.
 *
 * @throws SIGN_IN_REFUSED, ACCOUNT_EMAIL_INVALID, SIGN_IN_LIMITED, PASSWORDS_BUSY
 */
export async function letIn(
  accounts: Accounts,
  { password, network, device, ...credentials }: Credentials & { device: string | undefined },
  session: RequestSession,
): Promise<SignedIn> {
  const { database, passwords, devices } = accounts
  const email = parseEmail(credentials.email)
  const found = await database.user.findUnique({ where: { email } })
  const known = devices.read(device, found)
  const user = await limitGuesses(database, known ? { device: known } : { network, email }, async () => {
    const isRight = await passwords.verify(password, found?.passwordHash ?? null, network)
    return isRight ? found : null
  })
  if (!user) throw new SignInRefused()

  if (passwords.needsRehash(user.passwordHash)) {
    await storePassword(database, user, await passwords.hash(password, network))
  }
  return failClosed(session, async (begin) => {
    await begin(user)
    // A change of the password ends all sessions; this one may have begun a moment after that, with the old password.
    const passwordHash = await readPasswordHash(database, user.id)
    const isStill =
      passwordHash === user.passwordHash || (await passwords.verify(password, passwordHash, network))
    if (passwordHash === null || !isStill) throw new SignInRefused()
    return { user: { id: user.id, email }, device: devices.issue({ id: user.id, passwordHash }) }
  })
}

/**
 * Puts another password in place of the current one, ends every other session and gives this one a new id: a stolen copy
 * of the old one is worth nothing then. Either all of that happens, or the password stays as it is.
 *
 * Whoever has stolen a session may not guess the password with it either: `sessionId` is what they are counted by.
 *
 * @throws PASSWORD_WRONG, PASSWORD_COMMON, PASSWORD_PERSONAL, SIGN_IN_LIMITED, PASSWORDS_BUSY, ACCOUNT_GONE
 */
export async function changePassword(
  accounts: Accounts,
  change: { userId: string; sessionId: string; current: string; next: string; network: string },
  session: RequestSession,
): Promise<SignedIn> {
  const { database, passwords, devices, host } = accounts
  const user = await database.user.findUnique({ where: { id: change.userId } })
  if (!user) throw new AccountGone()
  assertSuitable(change.next, [user.email, host])
  const isRight = await limitGuesses(
    database,
    { session: change.sessionId },
    async () => (await passwords.verify(change.current, user.passwordHash, change.network)) || null,
  )
  if (!isRight) throw new PasswordWrong()

  const passwordHash = await passwords.hash(change.next, change.network)
  const isStored = await failClosed(session, (begin) =>
    database.$transaction(async (tx) => {
      // Whoever signs in by the old password at this moment waits for the end of this transaction: `readPasswordHash`.
      // Before it nothing ends: of two changes at once the later would end the session that the earlier has just begun.
      if (!(await storePassword(tx, user, passwordHash))) return false
      await session.endOthers(user)
      await begin(user)
      return true
    }),
  )
  if (!isStored) return changePassword(accounts, change, session)
  return { user: { id: user.id, email: user.email }, device: devices.issue({ id: user.id, passwordHash }) }
}

/** @throws ACCOUNT_GONE */
export async function readUser({ database }: Accounts, id: string): Promise<User> {
  const user = await database.user.findUnique({ where: { id }, select: { id: true, email: true } })
  if (!user) throw new AccountGone()
  return user
}

/** When `work` fails after it began a session, that session ends: an error never leaves somebody signed in. */
async function failClosed<T>(
  session: RequestSession,
  work: (begin: RequestSession['begin']) => Promise<T>,
): Promise<T> {
  let isBegun = false
  try {
    return await work((user) => {
      isBegun = true
      return session.begin(user)
    })
  } catch (error) {
    if (isBegun) await session.end()
    throw error
  }
}

/** False when another password has been stored since `user` was read: it is never overwritten. */
async function storePassword(
  database: Database | Transaction,
  user: { id: string; passwordHash: string },
  passwordHash: string,
): Promise<boolean> {
  const { count } = await database.user.updateMany({
    where: { id: user.id, passwordHash: user.passwordHash },
    data: { passwordHash },
  })
  return count === 1
}

/** Waits for a change of the password that is under way; null when there is no such account any more. */
async function readPasswordHash(database: Database, id: string): Promise<string | null> {
  const [user] = await database.$queryRaw<{ passwordHash: string }[]>`
    SELECT password_hash AS "passwordHash" FROM users WHERE id = ${id} FOR SHARE`
  return user?.passwordHash ?? null
}
