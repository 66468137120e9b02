import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { createEmptyDatabase, query } from '@repo/testing'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { tablesOf, type AppTables } from '../src/app-tables.ts'
import { databaseOf, type DatabaseOf, type TransactionOf } from '../src/index.ts'
import { migrate } from '../src/migrate.ts'
import { makeShares, shareUrl } from '../src/shares.ts'
import { PrismaClient } from './fixture/library/src/generated/client.ts'

/** An app as in a release: a folder that a test may change, and a role of its own in an empty database. */
export interface Library extends AsyncDisposable {
  tables: AppTables
  url: string
  /** The URL of a role with all privileges. */
  admin: string
  /** Runs SQL as the app's own role. */
  query<Row = unknown>(sql: string): Promise<Row[]>
}

const FIXTURE = join(import.meta.dirname, 'fixture/library')

export type Database = DatabaseOf<PrismaClient>
export type Transaction = TransactionOf<PrismaClient>
export const openDatabase = databaseOf<PrismaClient>(PrismaClient, 'library')

/** @param hasFiles whether the app has a schema.prisma and migrations already */
export async function openLibrary({ hasFiles = true } = {}): Promise<Library> {
  await using opening = new AsyncDisposableStack()
  const folder = opening.use(await openTemporaryFolder('library')).path
  const app = join(folder, 'library')
  for (const name of hasFiles ? ['schema.prisma', 'migrations'] : [])
    await cp(join(FIXTURE, name), join(app, name), { recursive: true })
  const { url: admin } = opening.use(await createEmptyDatabase())
  const url = await makeLibraryRole(admin)
  const opened = opening.move()
  return {
    tables: tablesOf(app),
    url,
    admin,
    query: (sql) => query(url, sql),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Creates the role of the app on any server. Returns its URL. */
async function makeLibraryRole(admin: string): Promise<string> {
  const url = shareUrl(admin, 'library')
  await makeShares(admin, [{ name: 'library', schemas: ['library'], url }])
  return url
}

/** The same, and creates the tables of the fixture. */
export async function migrateLibrary(admin: string): Promise<string> {
  const url = await makeLibraryRole(admin)
  await migrate(url, tablesOf(FIXTURE))
  return url
}

/** The error while Postgres is away. */
export const unavailable = {
  code: 'DATABASE_UNAVAILABLE',
  statusCode: 503,
  headers: { 'retry-after': '1' },
  message: 'The database cannot be reached right now. Please try again in a moment.',
}
