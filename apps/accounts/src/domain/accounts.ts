import createError from '@fastify/error'
import type { Database, Prisma, Transaction } from '../database.ts'
import type { DeviceCookie } from './device-cookie.ts'
import { parseEmail } from './email.ts'
import { limitGuesses } from './limit-guesses.ts'
import type { PasswordHasher } from './password-hasher.ts'
import { assertSuitable } from './password.ts'
import { noteEvent, noteFailure, type Origin } from './security-events.ts'

export interface User {
  id: string
  email: string
  // keep: mail
  /** Whether its owner has opened a link that was mailed to it. */
  emailVerified: boolean
  // /keep
}

/** What the functions below need. */
export interface Accounts {
  database: Database
  passwords: PasswordHasher
  devices: DeviceCookie
  /** Called one after the other when something happens to an account. */
  listeners: Listener[]
  /** The public host of the site. A password that is little more than its name is refused. */
  host: string
}

/** What happens to an account. */
export type AccountEvent = 'signed-up' | 'password-changed' | 'email-changed' | 'account-closed'

/**
 * Does what else belongs to an event, such as a mail to the owner, in the transaction of the event: either both are done, or
 * nothing. At `email-changed`, the email is the old one.
 */
export type Listener = (
  tx: Transaction,
  event: AccountEvent,
  user: { id: string; email: string },
) => Promise<void>

/** What the user typed, and the network of the request. */
export interface Credentials {
  email: string
  password: string
  network: string
}

/** The session of the present request, and where that comes from. */
export interface RequestSession {
  origin: Origin
  /** Signs the user in under a new session id. Resolves when the session is stored. */
  begin(user: { id: string; roles: readonly string[] }): Promise<void>
  end(): Promise<void>
  /** Ends every other session of the user. */
  endOthers(user: { id: string }): Promise<void>
  /** Ends every session of the user. */
  endAll(user: { id: string }): Promise<void>
}

/** A user who is signed in, and the new device cookie of their browser. */
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
 * Creates an account and signs its owner in. If the session cannot be stored, there is no account either. It helps a guesser
 * to know that an email is taken, so each such answer counts as a failed sign-in. The number of accounts that a network may
 * create is limited by the route.
 *
 * @throws ACCOUNT_EMAIL_TAKEN, ACCOUNT_EMAIL_INVALID, PASSWORD_COMMON, PASSWORD_PERSONAL, SIGN_IN_LIMITED, PASSWORDS_BUSY
 */
export async function createAccount(
  { database, passwords, devices, listeners, host }: Accounts,
  { password, network, ...credentials }: Credentials,
  session: RequestSession,
): Promise<SignedIn> {
  const email = parseEmail(credentials.email)
  assertSuitable(password, [email, host])
  const user = await limitGuesses(database, { network }, async () => {
    const passwordHash = await passwords.hash(password, network)
    return failClosed(session, (begin) =>
      database.$transaction(async (tx) => {
        // Of two concurrent sign-ups with the same email, in any processes, the database accepts one.
        const [created] = await tx.user.createManyAndReturn({
          data: { email, passwordHash },
          skipDuplicates: true,
        })
        if (!created) return null
        for (const listener of listeners) await listener(tx, 'signed-up', created)
        await noteEvent(tx, session.origin, 'signed-up', created.id)
        await begin(created)
        return created
      }),
    )
  })
  if (!user) throw new EmailTaken()
  return { user: present(user), device: devices.issue(user) }
}

/**
 * Signs in a user who knows the password. `device` is the device cookie of the browser, if it has one.
 *
 * Neither the answer nor the work that it takes tells whether the account exists.
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
  // A locked account is like none, so its state is told to nobody, not even to who guesses its password.
  const found = await database.user.findUnique({ where: { email, lockedAt: null } })
  const known = devices.read(device, found)
  const user = await limitGuesses(database, known ? { device: known } : { network, email }, async () => {
    const isRight = await passwords.verify(password, found?.passwordHash ?? null, network)
    return isRight ? found : null
  })
  if (!user) {
    await noteFailure(database, session.origin, 'sign-in-failed', found?.id ?? null)
    throw new SignInRefused()
  }

  if (passwords.needsRehash(user.passwordHash)) {
    await storePassword(database, user, { passwordHash: await passwords.hash(password, network) })
  }
  const { passwordHash } = await beginSession(accounts, user, { password, network }, session)
  await noteEvent(database, session.origin, 'signed-in', user.id)
  return { user: present(user), device: devices.issue({ id: user.id, passwordHash }) }
}

/**
 * Begins a session of a user whose password was right when `user` was read, and returns what is stored now. A change of the
 * password or of the roles and a lock end all sessions, and this one may have begun just after that.
 *
 * @throws SIGN_IN_REFUSED when the password is another one now, or the account is locked
 */
export async function beginSession(
  accounts: Accounts,
  user: Stored & { id: string },
  { password, network }: Omit<Credentials, 'email'>,
  session: RequestSession,
): Promise<Stored> {
  return failClosed(session, async (begin) => {
    await begin(user)
    const stored = await readStored(accounts.database, user.id)
    const isStill =
      stored?.passwordHash === user.passwordHash ||
      (await accounts.passwords.verify(password, stored?.passwordHash ?? null, network))
    if (!stored || !isStill) throw new SignInRefused()
    if (`${stored.roles}` === `${user.roles}`) return stored
    return beginSession(accounts, { id: user.id, ...stored }, { password, network }, session)
  })
}

/**
 * Replaces the password, ends every other session and gives this one a new id, so that a stolen copy of the old one is
 * useless. Either all of that happens, or the password stays as it is.
 *
 * A thief of a session must not guess the password with it either: wrong passwords are counted by `sessionId`.
 *
 * @throws PASSWORD_WRONG, PASSWORD_COMMON, PASSWORD_PERSONAL, SIGN_IN_LIMITED, PASSWORDS_BUSY, ACCOUNT_GONE
 */
export async function changePassword(
  accounts: Accounts,
  change: { userId: string; sessionId: string; current: string; next: string; network: string },
  session: RequestSession,
): Promise<SignedIn> {
  const { database, passwords, devices, listeners, host } = accounts
  const user = await database.user.findUnique({ where: { id: change.userId, lockedAt: null } })
  if (!user) throw new AccountGone()
  assertSuitable(change.next, [user.email, host])
  await checkPassword(accounts, user, { ...change, password: change.current }, session.origin)

  const passwordHash = await passwords.hash(change.next, change.network)
  const isStored = await failClosed(session, (begin) =>
    database.$transaction(async (tx) => {
      // A concurrent sign-in with the old password waits for the end of this transaction (`readStored`). No session
      // ends before the password is stored: of two concurrent changes, the later would end the session that the earlier has
      // just begun.
      const stored = await storePassword(tx, user, { passwordHash })
      if (!stored) return false
      for (const listener of listeners) await listener(tx, 'password-changed', user)
      await noteEvent(tx, session.origin, 'password-changed', user.id)
      await session.endOthers(user)
      await begin({ id: user.id, roles: stored.roles })
      return true
    }),
  )
  if (!isStored) return changePassword(accounts, change, session)
  return { user: present(user), device: devices.issue({ id: user.id, passwordHash }) }
}

/**
 * Checks the password of a signed-in user. Wrong ones are counted by `sessionId`: a thief of a session must not guess.
 *
 * @throws PASSWORD_WRONG, SIGN_IN_LIMITED, PASSWORDS_BUSY
 */
export async function checkPassword(
  { database, passwords }: Accounts,
  user: { id: string; passwordHash: string },
  { sessionId, password, network }: { sessionId: string; password: string; network: string },
  origin: Origin,
): Promise<void> {
  const isRight = await limitGuesses(
    database,
    { session: sessionId },
    async () => (await passwords.verify(password, user.passwordHash, network)) || null,
  )
  if (isRight) return
  await noteFailure(database, origin, 'proof-failed', user.id)
  throw new PasswordWrong()
}

/** @throws ACCOUNT_GONE */
export async function readUser({ database }: Accounts, id: string): Promise<User> {
  const user = await database.user.findUnique({ where: { id } })
  if (!user) throw new AccountGone()
  return present(user)
}

/** What a user is shown of their account. */
function present(user: Prisma.UserModel): User {
  return {
    id: user.id,
    email: user.email,
    // keep: mail
    emailVerified: user.emailVerifiedAt !== null,
    // /keep
  }
}

/** When `work` fails after it began a session, that session ends: an error never leaves the user signed in. */
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

/**
 * The roles that the user has now. Undefined when another password was stored after `user` was read, which is never
 * overwritten, or the account was locked.
 */
async function storePassword(
  database: Database | Transaction,
  user: { id: string; passwordHash: string },
  data: { passwordHash: string },
): Promise<{ roles: string[] } | undefined> {
  const [stored] = await database.user.updateManyAndReturn({
    where: { id: user.id, passwordHash: user.passwordHash, lockedAt: null },
    data,
    select: { roles: true },
  })
  return stored
}

/** What a session depends on besides its user. */
interface Stored {
  passwordHash: string
  roles: string[]
}

/** Waits for a concurrent change. Undefined when the account is locked, or does not exist any more. */
async function readStored(database: Database, id: string): Promise<Stored | undefined> {
  const [user] = await database.$queryRaw<Stored[]>`
    SELECT password_hash AS "passwordHash", roles FROM users WHERE id = ${id} AND locked_at IS NULL FOR SHARE`
  return user
}
