import { urlVariableOf } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import type { Formation, ProcessType } from './formation.ts'

/** The apps that have tables, by name: those with a process that needs the database. */
export function databaseApps({ running }: Formation): string[] {
  const apps = running.filter(({ needs }) => needs.includes('database')).map(nameOfApp)
  return [...new Set(apps)].toSorted()
}

/** Of `apps/orders` it is `orders`. */
export function nameOfApp({ app }: Pick<ProcessType, 'app'>): string {
  return app.replace('apps/', '')
}

/**
 * Where an app has its tables: in a database of its own if its URL is given, under the name that the release knows
 * (`DATABASE_URL_ORDERS`), else with those of all.
 *
 * @param admin the URL of somebody who may make roles, on the server that holds the tables of all
 */
export function databaseUrlOf(app: string, admin: string, given: Environment): string {
  return given[urlVariableOf(app)] || shareUrl(admin, app)
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What a process finds in its environment where one server holds the tables of all: in development and in tests. Each app has a role of
 * its own there; the release process has the keys to all of them.
 *
 * @param admin the URL of somebody who may make roles
 * @param sessionStoreUrl for the release, which makes the tables of sessions in Postgres
 * @param given where an app has a database elsewhere, its URL: `databaseUrlOf`
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

/** Where sessions live when that server is their store as well. */
export function sessionsIn(admin: string): string {
  return shareUrl(admin, 'sessions')
}
