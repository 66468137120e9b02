import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { directUrlVariableOf, urlVariableOf } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { isListening } from '@repo/testing/ports'
import { forgetPostgresVariables, loadDotEnv } from './environment.ts'
import type { Formation, ProcessType } from './formation.ts'

type Environment = Readonly<Record<string, string | undefined>>

const root = resolve(import.meta.dirname, '..')

/** What a command says when `findDatabase` finds none. */
export const noDatabase = 'Which database? Set DATABASE_URL, or start the one of this clone: pnpm dev'

/** The apps that have tables, by name: those with a process that needs the database. */
export function databaseApps({ running }: Formation): string[] {
  const apps = running.filter(({ needs }) => needs.includes('database')).map(nameOfApp)
  return [...new Set(apps)].toSorted()
}

/** The name of the app that a process type belongs to: `orders`, of `apps/orders`. */
export function nameOfApp({ app }: Pick<ProcessType, 'app'>): string {
  return app.replace('apps/', '')
}

/**
 * The URL of an app's tables: the one that is given under the name that the release process reads (`DATABASE_URL_ORDERS`), else the
 * URL of the app's own role on the shared server.
 *
 * @param admin the URL of a role that may create roles, on the shared server
 */
export function databaseUrlOf(app: string, admin: string, given: Environment): string {
  return given[urlVariableOf(app)] || shareUrl(admin, app)
}

/**
 * The database variables of a process where all apps share one server: in development and in tests. Each app has a role of its own
 * there; the release process gets the URLs of all of them.
 *
 * @param admin the URL of a role that may create roles
 * @param sessionStoreUrl for the release process, which makes the tables of sessions in Postgres
 * @param given the URLs of apps whose database is on another server, as `databaseUrlOf` reads them
 * @returns the variables of a process type; none when it needs no database
 */
export function databaseEnvironment(
  formation: Formation,
  admin: string,
  sessionStoreUrl = sessionsIn(admin),
  given: Environment = {},
): (type: ProcessType) => Record<string, string> {
  const urlOf = (app: string): string => databaseUrlOf(app, admin, given)
  return (type) => {
    if (!type.needs.includes('database')) return {}
    if (!formation.release.some(({ name }) => name === type.name))
      return { DATABASE_URL: urlOf(nameOfApp(type)) }
    const urls = databaseApps(formation).map((app) => [urlVariableOf(app), urlOf(app)])
    return { ADMIN_DATABASE_URL: admin, SESSION_STORE_URL: sessionStoreUrl, ...Object.fromEntries(urls) }
  }
}

/** The URL of the session store when the shared server is that store as well. */
export function sessionsIn(admin: string): string {
  return shareUrl(admin, 'sessions')
}

/**
 * The URL of the server that a command works on, with a role that may create roles: `DATABASE_URL`, also from `.env`, else
 * the server of `pnpm dev` in this clone. Undefined when neither is there.
 */
export async function findDatabase(): Promise<string | undefined> {
  loadDotEnv(root)
  forgetPostgresVariables()
  if (process.env.DATABASE_URL) return process.env.DATABASE_URL
  const [password, server] = await Promise.all([read('password'), read('data/postmaster.pid')])
  // Postgres writes its port on the fourth line of postmaster.pid, and removes the file when it stops normally.
  const port = server.split('\n')[3]
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  return port && (await isListening(url)) ? url : undefined
}

/**
 * The URL by which a command reads an app's tables: the one that the release process would use, else that of the app's role on the
 * server of `findDatabase`. Undefined when there is no server.
 */
export async function findAppDatabase(app: string): Promise<string | undefined> {
  const given = process.env[directUrlVariableOf(app)] || process.env[urlVariableOf(app)]
  if (given) return given
  const server = await findDatabase()
  return server && shareUrl(server, app)
}

function read(file: string): Promise<string> {
  return readFile(join(root, '.dev/postgres', file), 'utf8').catch(() => '')
}
