import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** The schema in which extensions live: each exists once in a database, and every app has it on its path. */
export const EXTENSIONS = 'extensions'

/** What an app has in a database, wherever that is. */
export interface AppTables {
  /** The app's name, as `back-orders`. */
  readonly app: string
  /** The schema in which all that it makes stands: its name, as `back_orders`. */
  readonly schema: string
  /** The folder of its migrations, which it has once somebody has written one. */
  readonly migrations: string
  /** Its models, in Prisma's language. A bundle has none. */
  readonly models: string
  /** Has jobs, in a schema `<schema>_queue`. */
  readonly hasQueue: boolean
}

interface Manifest {
  dependencies?: Record<string, string>
  processes?: Record<string, { needs?: string[]; release?: boolean }>
}

/** Of each app, in the order of their names, that has a process which needs the database. */
export function listAppTables(apps: string): AppTables[] {
  return globSync('*/package.json', { cwd: apps })
    .toSorted()
    .flatMap((file) => {
      const folder = dirname(join(apps, file))
      const { processes = {}, dependencies = {} } = JSON.parse(
        readFileSync(join(apps, file), 'utf8'),
      ) as Manifest
      const needsOne = Object.values(processes).some(
        ({ needs = [], release }) => needs.includes('database') && !release,
      )
      return needsOne ? [tablesOf(folder, '@repo/queue' in dependencies)] : []
    })
}

/** Of the app in this folder. */
export function tablesOf(folder: string, hasQueue = false): AppTables {
  const app = basename(folder)
  return {
    app,
    schema: schemaOf(app),
    migrations: join(folder, 'migrations'),
    models: join(folder, 'schema.prisma'),
    hasQueue,
  }
}

/** Its own schema, and the one of its queue. */
export function schemasOf({ schema, hasQueue }: AppTables): string[] {
  return hasQueue ? [schema, `${schema}_queue`] : [schema]
}

/** Where the release process finds the DATABASE_URL of an app: `DATABASE_URL_BACK_ORDERS`. */
export function urlVariableOf(app: string): string {
  return `DATABASE_URL_${schemaOf(app).toUpperCase()}`
}

/** The same of its DATABASE_DIRECT_URL, where it has one. */
export function directUrlVariableOf(app: string): string {
  return `DATABASE_DIRECT_URL_${schemaOf(app).toUpperCase()}`
}

export function schemaOf(app: string): string {
  return app.replaceAll('-', '_')
}
