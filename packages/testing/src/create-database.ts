import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Client } from 'pg'
import { startProcess } from './start-process.ts'

export interface TestDatabase extends AsyncDisposable {
  readonly url: string
}

/** Where the release process lives: the very one that a deployment runs. */
const MIGRATE = resolve(import.meta.dirname, '../../../apps/migrate')

/**
 * A database of its own for a test file, with every migration applied; dropped on disposal. It is cloned from a
 * template that the real release process migrates once a run, whoever asks first: 50 ms instead of seconds.
 */
export async function createDatabase(): Promise<TestDatabase> {
  const template = await openTemplate()
  const { url, drop } = await createEmptyDatabase(template)
  return { url, [Symbol.asyncDispose]: drop }
}

/** The same without a single table. */
export async function createEmptyDatabase(
  template = 'template0',
): Promise<TestDatabase & { drop(): Promise<void> }> {
  const name = `${databasePrefix()}${randomBytes(6).toString('hex')}`
  await withServer((server) => server.query(`CREATE DATABASE ${name} TEMPLATE ${template}`))
  const drop = async (): Promise<void> => {
    await withServer((server) => server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))
  }
  return { url: urlOf(name), drop, [Symbol.asyncDispose]: drop }
}

/** What the names of this run's databases begin with. The run is numbered by `vitest-setup.ts`. */
export function databasePrefix(): string {
  return `test_${process.env.TEST_RUN_ID ?? 'alone'}_`
}

/** Drops what this run has left on a server that lives on. */
export async function dropDatabases(): Promise<void> {
  await withServer(async (server) => {
    const { rows } = await server.query<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE starts_with(datname, $1)',
      [databasePrefix()],
    )
    for (const { datname } of rows) {
      await server.query(`ALTER DATABASE ${datname} IS_TEMPLATE false`)
      await server.query(`DROP DATABASE ${datname} WITH (FORCE)`)
    }
  })
}

async function openTemplate(): Promise<string> {
  const template = `${databasePrefix()}template`
  await withServer(async (server) => {
    // Test files ask at the same moment, from several processes: the first migrates and the others wait for it.
    await server.query('SELECT pg_advisory_lock(hashtext($1))', [template])
    const { rowCount } = await server.query('SELECT FROM pg_database WHERE datname = $1', [template])
    if (rowCount) return
    const draft = `${template}_draft`
    await server.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`)
    await server.query(`CREATE DATABASE ${draft} TEMPLATE template0`)
    await migrate(urlOf(draft))
    // Only a template that nobody is connected to can be cloned, and only the finished one has this name.
    await server.query(`ALTER DATABASE ${draft} RENAME TO ${template}`)
    await server.query(`ALTER DATABASE ${template} IS_TEMPLATE true ALLOW_CONNECTIONS false`)
  })
  return template
}

async function migrate(url: string): Promise<void> {
  const { processes } = JSON.parse(await readFile(resolve(MIGRATE, 'package.json'), 'utf8'))
  const release = await startProcess({
    name: 'migrate',
    cwd: MIGRATE,
    entry: processes.migrate.entry,
    env: { NODE_ENV: 'test', DATABASE_URL: url },
  })
  const { code, signal } = await release.exited
  if (code !== 0) throw new Error(`The release process ended with ${signal ?? code}:\n${release.output()}`)
}

async function withServer<T>(use: (server: Client) => Promise<T>): Promise<T> {
  const server = new Client({ connectionString: urlOf(), connectionTimeoutMillis: 10_000 })
  await server.connect()
  try {
    return await use(server)
  } finally {
    await server.end()
  }
}

/** The server of the run, or one of its databases. */
function urlOf(database?: string): string {
  const server = process.env.DATABASE_URL
  if (!server) throw new Error('DATABASE_URL is missing: run the tests with the vitest.config.ts at the root')
  if (!database) return server
  const url = new URL(server)
  url.pathname = `/${database}`
  return url.href
}
