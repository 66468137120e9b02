import { CONFIRM, findUnsafeMigrations } from '../migrations/find-unsafe-migrations.ts'

/**
 * Why the migrations are not applied to this database yet: one of those to come may take something away, and no person
 * has said that it may. Undefined when there is no such one.
 */
export async function findUnreadMigrations(root: string, url: string): Promise<string | undefined> {
  const unsafe = findUnsafeMigrations(root)
  if (unsafe.length === 0) return undefined
  const { applied } = await readStatus(url)
  const unread = unsafe.filter(({ name }) => !applied.includes(name))
  if (unread.length === 0) return undefined
  const words = unread.map(({ words }) => words).join('\n')
  return `No migration is applied, for this is not ready, or may lose data:\n${words}\n${CONFIRM}`
}

/** What to do about a migration that was applied, and then edited. Undefined when none was. */
export async function explainEdits(url: string): Promise<string | undefined> {
  const { edited } = await readStatus(url)
  if (edited.length === 0) return undefined
  return `${edited.join(', ')}: applied as it was before this edit. To apply the newest one anew: pnpm migrate amend`
}

// It loads Prisma's engine, for which no start needs to wait.
async function readStatus(url: string) {
  const { readMigrationStatus } = await import('@repo/database/migrate')
  return readMigrationStatus(url)
}
