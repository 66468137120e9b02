import { createHmac, randomBytes } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { Client, escapeIdentifier as quote } from 'pg'
import { startProcess } from './start-process.ts'

export interface TestDatabase extends AsyncDisposable {
  /** The URL of the owner of the database, who has all privileges in it. */
  readonly admin: string
  /** The URL of the role for which it was made; `admin` when there is none. */
  readonly url: string
}

const ROOT = resolve(import.meta.dirname, '../../..')

/** The part of an app's package.json that is read here. */
interface Manifest {
  processes?: Record<string, { entry: string; release?: boolean; needs?: string[] }>
}

/**
 * Creates a database for a test file, with every migration applied, and drops it on disposal. It is cloned from a template,
 * which the real release process migrates once per run, at the first call: 50 ms instead of seconds.
 *
 * @param share the app, for example `orders`, or `sessions`: `url` connects as its role
 */
export async function createDatabase(share: string): Promise<TestDatabase> {
  const template = await openTemplate()
  const database = await createEmptyDatabase(template)
  // The roles of the template also apply to its clones.
  const url = Object.assign(new URL(shareUrl(urlOf(template), share)), {
    pathname: new URL(database.admin).pathname,
  })
  return { ...database, url: url.href }
}

let sessions: Promise<TestDatabase> | undefined

/**
 * Returns the URL of a session store for this test file: `SESSION_STORE_URL`, else the Redis of this run, else a Postgres
 * database, which is dropped with the run.
 */
export async function sessionStoreUrl(): Promise<string> {
  if (process.env.SESSION_STORE_URL) return process.env.SESSION_STORE_URL
  sessions ??= createDatabase('sessions')
  return (await sessions).url
}

/** Creates a database without tables, or a clone of `template`. */
export async function createEmptyDatabase(
  template = 'template0',
): Promise<TestDatabase & { drop(): Promise<void> }> {
  const name = `${databasePrefix()}${randomBytes(6).toString('hex')}`
  await withServer((server) => server.query(`CREATE DATABASE ${name} TEMPLATE ${template}`))
  const drop = (): Promise<void> =>
    withServer(async (server) => {
      await server.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
      await dropRoles(server, `${name}_`)
    })
  return { admin: urlOf(name), url: urlOf(name), drop, [Symbol.asyncDispose]: drop }
}

/**
 * Returns the rows of one statement, on a new connection.
 *
 * @param url the database and the role
 * @throws the driver's error, with the code of Postgres: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export async function query<Row = Record<string, unknown>>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows as Row[]
  } finally {
    await client.end()
  }
}

/** The prefix of the names of this run's databases and roles. `vitest-setup.ts` numbers the run. */
export function databasePrefix(): string {
  return `test_${process.env.TEST_RUN_ID ?? 'alone'}_`
}

/** Drops the databases and roles of this run, on a server that stays. */
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
    await dropRoles(server, databasePrefix())
  })
}

/** The default URL of the role of an app, or of the sessions: the same as `shareUrl` of @repo/database. */
export function shareUrl(admin: string, share: string): string {
  const url = new URL(admin)
  url.username = `${url.pathname.slice(1)}_${share.replaceAll('-', '_')}`
  url.password = createHmac('sha256', decodeURIComponent(new URL(admin).password))
    .update(url.username)
    .digest('base64url')
  return url.href
}

async function dropRoles(server: Client, prefix: string): Promise<void> {
  const { rows } = await server.query<{ rolname: string }>(
    'SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)',
    [prefix],
  )
  if (rows.length > 0) await server.query(`DROP ROLE ${rows.map(({ rolname }) => quote(rolname)).join(', ')}`)
}

/**
 * Returns the name of the template database of this run. The first call creates it.
 *
 * @param more creates further objects in it, after the release
 */
export async function openTemplate(more: (admin: string) => Promise<void> = async () => {}): Promise<string> {
  const template = `${databasePrefix()}template`
  await withServer(async (server) => {
    // Several processes of test files call this at the same moment. The first one migrates, and the others wait for it.
    await server.query('SELECT pg_advisory_lock(hashtext($1))', [template])
    const { rowCount } = await server.query('SELECT FROM pg_database WHERE datname = $1 AND datistemplate', [
      template,
    ])
    if (rowCount) return
    await server.query(`DROP DATABASE IF EXISTS ${template} WITH (FORCE)`)
    await server.query(`CREATE DATABASE ${template} TEMPLATE template0`)
    await release(urlOf(template))
    await more(urlOf(template))
    // A template can be cloned only without connections to it.
    await server.query(`ALTER DATABASE ${template} IS_TEMPLATE true ALLOW_CONNECTIONS false`)
  })
  return template
}

/** Runs the release processes of a deployment on a database. */
export async function release(admin: string): Promise<void> {
  const env: Record<string, string> = {
    NODE_ENV: 'test',
    ADMIN_DATABASE_URL: admin,
    SESSION_STORE_URL: shareUrl(admin, 'sessions'),
  }
  const releases: { name: string; cwd: string; entry: string }[] = []
  for (const file of globSync('apps/*/package.json', { cwd: ROOT })) {
    const cwd = dirname(join(ROOT, file))
    const { processes = {} } = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as Manifest
    for (const [name, { entry, release, needs = [] }] of Object.entries(processes)) {
      if (release) releases.push({ name, cwd, entry })
      else if (needs.includes('database')) {
        const variable = `DATABASE_URL_${basename(cwd).replaceAll('-', '_').toUpperCase()}`
        env[variable] = shareUrl(admin, basename(cwd))
      }
    }
  }
  for (const { name, cwd, entry } of releases) {
    const running = await startProcess({ name, cwd, entry, env })
    const { code, signal } = await running.exited
    if (code !== 0) throw new Error(`${name} ended with ${signal ?? code}:\n${running.output()}`)
  }
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
