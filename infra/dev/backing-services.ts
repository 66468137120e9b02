import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, isFree } from '@repo/testing/ports'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { databaseEnvironment, sessionsIn } from '../databases.ts'
import type { Formation, Need, ProcessType } from '../formation.ts'
import type { Row } from './print.ts'
import { openMailServer } from './serve-mails.ts'

export interface BackingServices extends AsyncDisposable {
  /** Those that the formation needs. */
  rows(formation: Formation): Row[]
  /** The URL of Postgres, with a role that may create roles. */
  readonly admin: string
  /** The environment variables with which a process of this type reaches them. */
  environmentOf(type: ProcessType, formation: Formation): Record<string, string>
}

const OPENED = '.dev/stores.json'

/** What the last `pnpm dev` of this clone has opened, for one-off processes beside it. Undefined before the first one. */
export async function readOpened(root: string): Promise<Opened | undefined> {
  const text = await readFile(join(root, OPENED), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as Opened)
}

interface Opened {
  /** The URL of Postgres, with a role that may create roles. */
  admin: string
  session: { SESSION_STORE_URL: string; SESSION_SECRETS: string }
}

/** A service that process types may need, besides Postgres. */
interface Attached {
  env: Record<string, string>
  /** Undefined when Postgres is it. */
  row?: Row
}

/**
 * Opens what the process types may need. Postgres is DATABASE_URL, whose role may create roles, else our own server in
 * `.dev/postgres`. The session store is SESSION_STORE_URL, else our own Redis in `.dev/redis`, else, when the machine has no
 * Redis, that Postgres. Servers that we start stop when we stop. These keep their data.
 */
export async function openBackingServices(
  root: string,
  given: Record<string, string | undefined>,
  say: (sentence: string) => void,
): Promise<BackingServices> {
  await using opening = new AsyncDisposableStack()
  const known = await readKnown(join(root, '.dev/secrets.json'))
  const [postgres, redis] = await Promise.all([
    given.DATABASE_URL
      ? undefined
      : startPostgres({ directory: join(root, '.dev/postgres'), port: known.postgresPort }),
    given.SESSION_STORE_URL ? undefined : startRedisIn(join(root, '.dev/redis'), known.redisPassword),
  ])
  // Only stopped: disposal is for a temporary folder.
  for (const server of [postgres, redis]) if (server) opening.defer(() => server.stop())

  const admin = given.DATABASE_URL || postgres!.url
  const ownStoreUrl = given.SESSION_STORE_URL || redis?.url
  const session = {
    SESSION_STORE_URL: ownStoreUrl ?? sessionsIn(admin),
    SESSION_SECRETS: given.SESSION_SECRETS || known.sessionSecret,
  }
  if (!ownStoreUrl) {
    say(
      'Sessions live in Postgres: this machine has no redis-server or valkey-server, and SESSION_STORE_URL is not set.',
    )
  }

  const attached = new Map<Need, Attached>()
  const url = ownStoreUrl && withoutPassword(ownStoreUrl)
  attached.set('session', {
    env: session,
    ...(url && { row: { type: 'sessions', name: '', url, pid: pidOf(redis) } }),
  })
  // keep: mail
  // The mail server is MAIL_URL, else a catcher, which delivers nothing and shows the mails on a page until we stop.
  const caught = given.MAIL_URL ? undefined : opening.use(await openMailServer())
  const MAIL_URL = given.MAIL_URL || caught!.env.MAIL_URL
  attached.set('mail', {
    env: { MAIL_URL, MAIL_FROM: given.MAIL_FROM || 'Development <mail@localhost>' },
    row: {
      type: 'mails',
      name: '',
      url: caught?.url ?? withoutPassword(MAIL_URL),
      pid: caught ? 'caught: read them here' : pidOf(undefined),
    },
  })
  // /keep
  await writeFile(join(root, OPENED), `${JSON.stringify({ admin, session })}\n`, { mode: 0o600 })

  const stores = opening.move()
  return {
    rows({ running }) {
      const needed = new Set(running.flatMap(({ needs }) => needs))
      return [
        { type: 'postgres', name: '', url: withoutPassword(admin), pid: pidOf(postgres) },
        ...[...attached].flatMap(([need, { row }]) => (row && needed.has(need) ? [row] : [])),
      ]
    },
    admin,
    environmentOf: (type, formation) =>
      Object.assign(
        databaseEnvironment(formation, admin, session.SESSION_STORE_URL, given)(type),
        ...type.needs.map((need) => attached.get(need)?.env),
      ) as Record<string, string>,
    [Symbol.asyncDispose]: () => stores.disposeAsync(),
  }
}

async function startRedisIn(directory: string, password: string): ReturnType<typeof startRedis> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return startRedis({ directory, password })
}

/** Values that stay the same from one start to the next. */
interface Known {
  sessionSecret: string
  redisPassword: string
  /** Kept while the port is free, so that a database client of the user finds Postgres again. */
  postgresPort: number
}

/** Reads the file, or creates what it lacks. A restart signs no user out, and only the owner can read the file. */
async function readKnown(file: string): Promise<Known> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const before = JSON.parse(text) as Partial<Known>
  const known = {
    sessionSecret: before.sessionSecret ?? randomBytes(32).toString('base64url'),
    redisPassword: before.redisPassword ?? randomBytes(24).toString('base64url'),
    postgresPort: await keepPort(before.postgresPort),
  }
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
  await writeFile(file, `${JSON.stringify(known, null, 2)}\n`, { mode: 0o600 })
  return known
}

async function keepPort(port: number | undefined): Promise<number> {
  return port && (await isFree(port)) ? port : await freePort()
}

function withoutPassword(url: string): string {
  return url.replace(/:[^:/@]*@/, ':***@')
}

function pidOf(server: { pid: number } | undefined): string {
  return server ? `pid ${server.pid}` : 'not started by us'
}
