import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listAppTables, urlVariableOf, type AppTables } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { startProcess } from '@repo/testing'

/** The apps of this clone that have tables, whichever they are. */
export const apps: readonly AppTables[] = listAppTables(resolve(import.meta.dirname, '../..'))

export interface Ended {
  code: number | null
  output: string
}

/** Runs the release process to its end. */
export async function release(env: Record<string, string>): Promise<Ended> {
  await using running = await startProcess({
    name: 'migrate',
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    entry: 'src/migrate.ts',
    env,
  })
  const { code } = await running.exited
  return { code, output: running.output() }
}

/** What a release is given where one server holds the tables of all. */
export function environmentOn(admin: string): Record<string, string> {
  return { ADMIN_DATABASE_URL: admin, ...urlsOn(admin) }
}

/** The same without the right to make anything. */
export function urlsOn(admin: string): Record<string, string> {
  return Object.fromEntries(apps.map(({ app }) => [urlVariableOf(app), shareUrl(admin, app)]))
}

/** How somebody else gets into the same database. */
export function as(url: string, user: string, password = 'another password'): string {
  return Object.assign(new URL(url), { username: user, password }).href
}
