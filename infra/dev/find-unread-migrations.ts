import { join } from 'node:path'
import { listAppTables } from '@repo/database/app-tables'
import { databaseUrlOf } from '../databases.ts'
import { CONFIRM, findUnsafeMigrations } from '../migrate/find-unsafe-migrations.ts'

/**
 * Why the migrations are not applied yet: one of those to come may take something away, and no person has said that it may.
 * Undefined when there is no such one.
 *
 * @param admin the server that holds the tables of all whose URL is not in the environment
 */
export async function findUnreadMigrations(root: string, admin: string): Promise<string | undefined> {
  const unsafe = findUnsafeMigrations(root)
  if (unsafe.length === 0) return undefined
  const statuses = await readStatuses(root, admin)
  const unread = unsafe.filter(({ app, name }) => !statuses.get(app)?.applied.includes(name))
  if (unread.length === 0) return undefined
  const words = unread.map(({ words }) => words).join('\n')
  return `No migration is applied, for this is not ready, or may lose data:\n${words}\n${CONFIRM}`
}

/** What to do about a migration that was applied, and then edited. Undefined when none was. */
export async function explainEdits(root: string, admin: string): Promise<string | undefined> {
  const statuses = await readStatuses(root, admin)
  const lines = [...statuses].flatMap(([app, { edited }]) =>
    edited.length === 0
      ? []
      : [
          `${edited.join(', ')}: applied as it was before this edit. To apply the newest one anew: pnpm migrate amend ${app}`,
        ],
  )
  return lines.length > 0 ? lines.join('\n') : undefined
}

// It loads Prisma's engine, for which no start needs to wait.
async function readStatuses(root: string, admin: string) {
  const { readMigrationStatus } = await import('@repo/database/migrate')
  const statuses = new Map<string, Awaited<ReturnType<typeof readMigrationStatus>>>()
  for (const tables of listAppTables(join(root, 'apps'))) {
    // Where the release has not been yet, nobody knows the role; and nothing is applied.
    const url = databaseUrlOf(tables.app, admin, process.env)
    const status = await readMigrationStatus(url, tables).catch(() => undefined)
    if (status) statuses.set(tables.app, status)
  }
  return statuses
}
