import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listAppTables, urlVariableOf, type AppTables } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { startProcess } from '@repo/testing'

/** The apps of this clone that have tables. */
export const apps: readonly AppTables[] = listAppTables(resolve(import.meta.dirname, '../..'))
export const first = apps[0]!

/** How a release ends when the database is up to date. */
export const NOTHING: Ended = { code: 0, output: 'nothing to apply' }

export interface Ended {
  code: number | null
  output: string
}

/** Runs the release process until it ends. */
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

/** The environment of a release when one server holds the tables of all apps. */
export function environmentOn(admin: string): Record<string, string> {
  return { ADMIN_DATABASE_URL: admin, ...urlsOn(admin) }
}

/** The same, without the privilege to create roles and schemas. */
export function urlsOn(admin: string): Record<string, string> {
  return Object.fromEntries(apps.map(({ app }) => [urlVariableOf(app), shareUrl(admin, app)]))
}

/** The name of the database that a URL leads to. */
export function databaseOf(url: string): string {
  return new URL(url).pathname.slice(1)
}

/** The URL of the same database with another user. */
export function as(url: string, user: string, password = 'another password'): string {
  return Object.assign(new URL(url), { username: user, password }).href
}
