import createError from '@fastify/error'
import type { Database } from '../database.ts'
import { parseEmail } from './email.ts'
import { noteEvent, type EventKind, type Origin } from './security-events.ts'

/** An account, as its administrator sees it. */
export interface Account {
  id: string
  email: string
  createdAt: Date
  roles: string[]
  /** Null when it is not locked. */
  lockedAt: Date | null
}

/** What the functions below need. */
export interface Administration {
  database: Database
  /** Ends all sessions of a user, in every process. */
  endSessions(userId: string): Promise<unknown>
  origin: Origin
}

export const AccountUnknown = createError('ACCOUNT_UNKNOWN', 'There is no such account.', 404)

const visible = { id: true, email: true, createdAt: true, roles: true, lockedAt: true } as const

/** @throws ACCOUNT_UNKNOWN, ACCOUNT_EMAIL_INVALID */
export async function findAccount(database: Database, email: string): Promise<Account> {
  const account = await database.user.findUnique({ where: { email: parseEmail(email) }, select: visible })
  if (!account) throw new AccountUnknown()
  return account
}

/** @throws ACCOUNT_UNKNOWN */
export async function readAccount(database: Database, id: string): Promise<Account> {
  const account = await database.user.findUnique({ where: { id }, select: visible })
  if (!account) throw new AccountUnknown()
  return account
}

/** All accounts that have a role, by email. */
export function listRoles(database: Database): Promise<Account[]> {
  return database.user.findMany({
    where: { roles: { isEmpty: false } },
    select: visible,
    orderBy: { email: 'asc' },
  })
}

/**
 * Gives a role to a user, and ends their sessions, whose copy of the roles is old now. Does nothing if they have it.
 *
 * @throws ACCOUNT_UNKNOWN, and RangeError when it is no name of a role
 */
export async function grantRole(
  administration: Administration,
  userId: string,
  role: string,
): Promise<Account> {
  if (!/^[a-z][a-z0-9-]{0,49}$/.test(role))
    throw new RangeError('A role is a word of lower-case letters, digits and hyphens, such as admin.')
  return change(administration, userId, 'roles-changed', ({ roles }) =>
    roles.includes(role) ? undefined : { roles: [...roles, role] },
  )
}

/** Takes a role from a user, and ends their sessions. Does nothing if they do not have it. @throws ACCOUNT_UNKNOWN */
export async function revokeRole(
  administration: Administration,
  userId: string,
  role: string,
): Promise<Account> {
  return change(administration, userId, 'roles-changed', ({ roles }) =>
    roles.includes(role) ? { roles: roles.filter((one) => one !== role) } : undefined,
  )
}

/** Ends all sessions of a user, who cannot sign in again until the account is unlocked. @throws ACCOUNT_UNKNOWN */
export async function lockAccount(administration: Administration, userId: string): Promise<Account> {
  return change(administration, userId, 'locked', ({ lockedAt }) =>
    lockedAt ? undefined : { lockedAt: new Date() },
  )
}

/** @throws ACCOUNT_UNKNOWN */
export async function unlockAccount(administration: Administration, userId: string): Promise<Account> {
  return change(administration, userId, 'unlocked', ({ lockedAt }) =>
    lockedAt ? { lockedAt: null } : undefined,
  )
}

/**
 * Stores a change that no session of the user may survive. Either both are done, or the account is as it was.
 *
 * The order matters: a concurrent sign-in stores its session first and then waits for the end of this transaction
 * (`beginSession`). A session that was stored before the sessions end, ends with them; one that was stored after that, is
 * begun again with what is committed here. If the sessions ended after the commit, they would keep the old roles for a moment,
 * and for ever if the store failed between the two.
 */
async function change(
  { database, endSessions, origin }: Administration,
  id: string,
  event: EventKind,
  decide: (account: Account) => { roles: string[] } | { lockedAt: Date | null } | undefined,
): Promise<Account> {
  return database.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT FROM users WHERE id = ${id} FOR UPDATE`
    const account = await tx.user.findUnique({ where: { id }, select: visible })
    if (!account) throw new AccountUnknown()
    const data = decide(account)
    if (!data) return account
    const changed = await tx.user.update({ where: { id }, data, select: visible })
    await noteEvent(tx, origin, event, id)
    await endSessions(id)
    return changed
  })
}
