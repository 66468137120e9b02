import { createHmac, hash, pbkdf2Sync, randomBytes } from 'node:crypto'
import { escapeIdentifier as quote, escapeLiteral } from 'pg'
import { EXTENSIONS, schemaOf } from './app-tables.ts'
import type { PromisePool } from './open-pool.ts'
import { MigrationError, openSingle } from './open-single.ts'

/** The part of a database of one app, or of the sessions: a role, and its schemas. */
export interface Share {
  /** Its role is `<database>_<name>`. */
  readonly name: string
  /** New tables go into the first one. */
  readonly schemas: readonly string[]
  /** The URL with which its processes connect. */
  readonly url: string
}

/** Set on the role, because a pooler in transaction mode does not pass them on. A direct connection may override them. */
const LIMITS = { statement_timeout: '5s', idle_in_transaction_session_timeout: '30s' }

/**
 * Returns the default URL of a share, for development and tests. Its password is derived from that of `admin`, so that no
 * other has to be stored.
 *
 * @param name the name of the app, or `sessions`
 */
export function shareUrl(admin: string, name: string): string {
  const url = new URL(admin)
  url.username = encodeURIComponent(roleOf(url, schemaOf(name)))
  url.password = createHmac('sha256', decodeURIComponent(new URL(admin).password))
    .update(url.username)
    .digest('base64url')
  return url.href
}

/**
 * Creates what is missing of each share: its role, the login of its URL, its schemas, and its search path. It removes nothing,
 * so each release may call it. A share on another server or database than `admin`'s is left to the administrator there.
 *
 * The password of a login is never changed. Another user name in the URL makes a second login, which acts as the same role.
 *
 * @returns the executed SQL, without secrets
 * @throws {MigrationError} when `admin` lacks a privilege, with the SQL for an administrator
 */
export async function makeShares(admin: string, shares: readonly Share[]): Promise<string[]> {
  const ours = shares.filter(({ url }) => isSameDatabase(admin, url))
  const main = openSingle(admin)
  const done: string[] = []
  try {
    await main.query('BEGIN')
    // Roles belong to the server, and two releases that change one at the same moment would both fail.
    await main.query(`SELECT pg_advisory_xact_lock(hashtext('shares'))`)
    const { user } = await readSession(main)
    await apply(await findCommon(main))
    for (const share of ours) {
      const isShared = decodeURIComponent(new URL(share.url).username) === user
      await apply(await (isShared ? findSchemas : findMissing)(main, share))
    }
    await main.query('COMMIT')
  } finally {
    await main.end()
  }
  return done

  async function apply(statements: Statement[]): Promise<void> {
    for (const { sql, shown = sql } of statements) {
      try {
        await main.query(sql)
      } catch (error) {
        const words = statements.map(({ sql, shown = sql }) => `  ${shown};`).join('\n')
        throw new MigrationError(
          `${(error as Error).message}. An administrator has to run this in the database, once:\n${words}`,
          { cause: error },
        )
      }
      done.push(shown)
    }
  }
}

/**
 * Checks that a share's URL leads to its own schema. If a server allows only one role for all shares, each URL must name its
 * schemas, by `?options=-c search_path=…`.
 *
 * @throws {MigrationError}
 */
export async function assertOwnSchema({ name, schemas, url }: Share): Promise<void> {
  const main = openSingle(url)
  try {
    const { schema, user } = await readSession(main)
    if (schema === schemas[0]) return
    const path = encodeURIComponent(`-c search_path=${[...schemas, EXTENSIONS].join(',')}`)
    throw new MigrationError(
      `${name}: the user ${user} works in the schema ${schema ?? '(none)'}, and not in ${schemas[0]}. Give ${name} a role of ` +
        `its own (ADMIN_DATABASE_URL makes it), or make the schemas and add to its URL: ?options=${path}`,
    )
  } catch (error) {
    if (error instanceof MigrationError) throw error
    const { code, message } = error as { code?: string; message: string }
    const hint = code?.startsWith('28')
      ? '. A login that is there keeps its password; docs/operations.md says how to give it another.'
      : ''
    throw new MigrationError(`${name}: the database cannot be reached: ${message}${hint}`, { cause: error })
  } finally {
    await main.end()
  }
}

/** Creates the database of a URL, unless it exists. @throws {MigrationError} */
export async function makeDatabase(url: string, log: (line: string) => void): Promise<void> {
  const probe = openSingle(url)
  try {
    await probe.query('SELECT 1')
    return
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000')
      throw new MigrationError(`The database cannot be reached: ${(error as Error).message}`, {
        cause: error,
      })
  } finally {
    await probe.end()
  }
  const name = databaseOf(new URL(url))
  const server = openSingle(Object.assign(new URL(url), { pathname: '/postgres' }).href)
  try {
    await server.query(`CREATE DATABASE ${quote(name)}`)
    log(`made the database ${name}`)
  } catch (error) {
    // Another release has just created it.
    if ((error as { code?: string }).code !== '42P04')
      throw new MigrationError(
        `There is no database ${name}, and making it failed: ${(error as Error).message}`,
        { cause: error },
      )
  } finally {
    await server.end()
  }
}

/** The role that owns all objects of a share. @throws {MigrationError} when its name is longer than 63 bytes */
export function roleOf(url: URL, name: string): string {
  const role = `${databaseOf(url)}_${name}`
  if (Buffer.byteLength(role) > 63)
    throw new MigrationError(`The role ${role} is longer than 63 bytes, which is what Postgres allows.`)
  return role
}

function isSameDatabase(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => {
    const url = new URL(text)
    return JSON.stringify([url.hostname, url.port || '5432', databaseOf(url)])
  })
  return a === b
}

function databaseOf(url: URL): string {
  return decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username)
}

interface Statement {
  sql: string
  /** The same without its secret, for logs. */
  shown?: string
}

async function readSession(main: PromisePool): Promise<{ user: string; schema: string | null }> {
  const { rows } = await main.query<{ user: string; schema: string | null }>(
    'SELECT session_user AS user, current_schema() AS schema',
  )
  return rows[0]!
}

/** The statements that are missing for all shares of a database. */
async function findCommon(main: PromisePool): Promise<Statement[]> {
  const { rows } = await main.query<{ hasExtensions: boolean; isOpen: boolean }>(
    `SELECT to_regnamespace('${EXTENSIONS}') IS NOT NULL AS "hasExtensions",
       EXISTS (SELECT FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner)))
         WHERE nspname = 'public' AND grantee = 0) AS "isOpen"`,
  )
  const { hasExtensions, isOpen } = rows[0]!
  return [
    ...(hasExtensions
      ? []
      : [`CREATE SCHEMA ${EXTENSIONS}`, `GRANT USAGE ON SCHEMA ${EXTENSIONS} TO PUBLIC`]),
    // The release moves the tables of older clones from there. From then on, no app uses this schema.
    ...(isOpen ? ['REVOKE ALL ON SCHEMA public FROM PUBLIC'] : []),
  ].map((sql) => ({ sql }))
}

/** The missing statements of a share without a role of its own. */
async function findSchemas(main: PromisePool, { schemas }: Share): Promise<Statement[]> {
  const { rows } = await main.query(
    'SELECT name FROM unnest($1::text[]) AS names (name) WHERE to_regnamespace(quote_ident(name)) IS NULL',
    [schemas],
  )
  return rows.map(({ name }) => ({ sql: `CREATE SCHEMA ${quote(name)}` }))
}

async function findMissing(main: PromisePool, { name, schemas, url: href }: Share): Promise<Statement[]> {
  const url = new URL(href)
  const role = roleOf(url, name)
  const login = decodeURIComponent(url.username)
  const { rows: roles } = await main.query<{ name: string; isOurs: boolean; settings: string[] }>(
    `SELECT rolname AS name, pg_has_role(current_user, oid, 'USAGE') AS "isOurs", coalesce(rolconfig, '{}') AS settings
     FROM pg_roles WHERE rolname = ANY ($1)`,
    [[role, login]],
  )
  const known = new Map(roles.map((found) => [found.name, found]))
  const statements: Statement[] = []
  const add = (sql: string, shown = sql): void => void statements.push({ sql, shown })

  if (!known.has(role) && login !== role) add(`CREATE ROLE ${quote(role)} NOLOGIN`)
  if (!known.has(login)) {
    const secret = escapeLiteral(hidePassword(decodeURIComponent(url.password)))
    add(
      `CREATE ROLE ${quote(login)} LOGIN PASSWORD ${secret}`,
      `CREATE ROLE ${quote(login)} LOGIN PASSWORD '…'`,
    )
    if (login !== role) {
      add(`GRANT ${quote(role)} TO ${quote(login)}`)
      // Objects that it makes belong to the role and not to this login, which may be replaced.
      add(`ALTER ROLE ${quote(login)} SET role = ${escapeLiteral(role)}`)
    }
  }

  const path = [...schemas, EXTENSIONS].map((schema) => quote(schema)).join(', ')
  const settings = (known.get(login)?.settings ?? []).map(withoutQuotes)
  for (const [setting, value] of Object.entries({ search_path: path, ...LIMITS })) {
    if (settings.includes(withoutQuotes(`${setting}=${value}`))) continue
    const text = setting === 'search_path' ? value : escapeLiteral(value)
    add(`ALTER ROLE ${quote(login)} SET ${setting} = ${text}`)
  }

  const { rows: found } = await main.query<{ schema: string; owner: string }>(
    'SELECT nspname AS schema, pg_get_userbyid(nspowner) AS owner FROM pg_namespace WHERE nspname = ANY ($1)',
    [schemas],
  )
  const owners = new Map(found.map(({ schema, owner }) => [schema, owner]))
  const strange = schemas.filter((schema) => owners.get(schema) !== role)
  // Since Postgres 16, the creator of a role does not have its privileges.
  if (strange.length > 0 && !known.get(role)?.isOurs && !(await isSuperuser(main)))
    add(`GRANT ${quote(role)} TO CURRENT_USER`)
  for (const schema of strange) {
    if (!owners.has(schema)) add(`CREATE SCHEMA ${quote(schema)} AUTHORIZATION ${quote(role)}`)
    else for (const sql of await findAdoptions(main, schema, role)) add(sql)
  }
  return statements
}

/** For a comparison: Postgres stores quotes only around names that need them. */
function withoutQuotes(text: string): string {
  return text.replaceAll('"', '')
}

async function isSuperuser(main: PromisePool): Promise<boolean> {
  const { rows } = await main.query('SELECT rolsuper FROM pg_roles WHERE rolname = current_user')
  return rows[0]!.rolsuper
}

/** Changes the owner of a schema and its objects to a role, because an earlier release made them as another one. */
async function findAdoptions(main: PromisePool, schema: string, role: string): Promise<string[]> {
  const { rows } = await main.query<{ name: string; what: string }>(
    `SELECT quote_ident(relname) AS name, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS what
     FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p', 'v', 'S')
       AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i') AND relkind = 'S')`,
    [quote(schema)],
  )
  return [
    `ALTER SCHEMA ${quote(schema)} OWNER TO ${quote(role)}`,
    ...rows.map(({ name, what }) => `ALTER ${what} ${quote(schema)}.${name} OWNER TO ${quote(role)}`),
  ]
}

/**
 * Returns the SCRAM verifier that Postgres stores, so that the password itself is not in a log of the server.
 *
 * @see RFC 5803, and https://www.postgresql.org/docs/current/catalog-pg-authid.html
 */
function hidePassword(password: string): string {
  // Other characters must be normalized first (RFC 4013), which Postgres does itself.
  if (/[^\x20-\x7e]/.test(password)) return password
  const [rounds, salt] = [4096, randomBytes(16)]
  const salted = pbkdf2Sync(password, salt, rounds, 32, 'sha256')
  const keyed = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const stored = hash('sha256', keyed('Client Key'), 'base64')
  return `SCRAM-SHA-256$${rounds}:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`
}
