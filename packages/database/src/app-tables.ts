import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** The schema of extensions, which exist once in a database. It is on the search path of every app. */
export const EXTENSIONS = 'extensions'

/** An app's part of a database: its files and its schemas. */
export interface AppTables {
  /** The app's name, for example `back-orders`. */
  readonly app: string
  /** The schema of its tables, from its name: `back_orders`. */
  readonly schema: string
  /** The folder of its migrations. It does not exist before the first one. */
  readonly migrations: string
  /** Its Prisma schema file. A bundle has none. */
  readonly models: string
  /** Whether it has jobs, in a schema `<schema>_queue`. */
  readonly hasQueue: boolean
}

interface Manifest {
  dependencies?: Record<string, string>
  processes?: Record<string, { needs?: string[]; release?: boolean }>
}

/** The tables of each app with a process that needs the database (a release process does not count), sorted by name. */
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

/** The tables of the app in this folder. */
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

/** Its own schema and, if it has jobs, the one of its queue. */
export function schemasOf({ schema, hasQueue }: AppTables): string[] {
  return hasQueue ? [schema, `${schema}_queue`] : [schema]
}

/** The variable of the release process for an app's DATABASE_URL: `DATABASE_URL_BACK_ORDERS`. */
export function urlVariableOf(app: string): string {
  return `DATABASE_URL_${schemaOf(app).toUpperCase()}`
}

/** The same for its DATABASE_DIRECT_URL, if it has one. */
export function directUrlVariableOf(app: string): string {
  return `DATABASE_DIRECT_URL_${schemaOf(app).toUpperCase()}`
}

export function schemaOf(app: string): string {
  return app.replaceAll('-', '_')
}
