import { join } from 'node:path'
import { listAppTables } from '@repo/database/app-tables'
import { databaseUrlOf } from '../databases.ts'
import { CONFIRM, findUnsafeMigrations } from '../migrate/find-unsafe-migrations.ts'

/**
 * Why no migration is applied now: a pending one may lose data or is empty, and nobody has confirmed it with `-- safe: why`.
 * Undefined when there is no such migration.
 *
 * @param admin the URL of the server that has the tables of all apps without a URL in the environment
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

/** What to do about migrations that were edited after they were applied. Undefined when there are none. */
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

// Imported late: it loads Prisma's engine, which most starts do not need.
async function readStatuses(root: string, admin: string) {
  const { readMigrationStatus } = await import('@repo/database/migrate')
  const statuses = new Map<string, Awaited<ReturnType<typeof readMigrationStatus>>>()
  for (const tables of listAppTables(join(root, 'apps'))) {
    // Before the first release the app's role does not exist, and no migration is applied.
    const url = databaseUrlOf(tables.app, admin, process.env)
    const status = await readMigrationStatus(url, tables).catch(() => undefined)
    if (status) statuses.set(tables.app, status)
  }
  return statuses
}
