import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, isFree } from '@repo/testing/free-port'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { databaseEnvironment, sessionsIn } from '../databases.ts'
import type { Formation, ProcessType } from '../formation.ts'
import type { Row } from './print.ts'

export interface BackingServices extends AsyncDisposable {
  readonly rows: readonly Row[]
  /** How to get into Postgres as somebody who may do anything there. */
  readonly admin: string
  /** What a process finds of them in its environment. */
  environmentOf(type: ProcessType, formation: Formation): Record<string, string>
}

/**
 * Postgres is the one of DATABASE_URL, as somebody who may make roles, or else our own in `.dev/postgres`. Sessions live in SESSION_STORE_URL, or
 * else in a Redis of our own in `.dev/redis`, or where the machine has none in that Postgres. What we start ourselves
 * keeps its data and ends with us.
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
  // Stopped only: disposal would be right for a folder that is temporary.
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

  const stores = opening.move()
  const rows = [{ type: 'postgres', name: '', url: withoutPassword(admin), pid: pidOf(postgres) }]
  if (ownStoreUrl) {
    rows.push({ type: 'sessions', name: '', url: withoutPassword(ownStoreUrl), pid: pidOf(redis) })
  }
  return {
    rows,
    admin,
    environmentOf: (type, formation) => ({
      ...databaseEnvironment(formation, admin, session.SESSION_STORE_URL, given)(type),
      ...(type.needs.includes('session') && session),
    }),
    [Symbol.asyncDispose]: () => stores.disposeAsync(),
  }
}

async function startRedisIn(directory: string, password: string): ReturnType<typeof startRedis> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return startRedis({ directory, password })
}

/** What stays the same from one start to the next. */
interface Known {
  sessionSecret: string
  redisPassword: string
  /** So that a client of one's own finds Postgres where it was. */
  postgresPort: number
}

/** Made once, so that nobody is signed out by a restart, and readable by nobody else. */
async function readKnown(file: string): Promise<Known> {
  const text = await readFile(file, 'utf8').catch(() => '{}')
  const before = JSON.parse(text) as Partial<Known>
  const { postgresPort } = before
  const known = {
    sessionSecret: before.sessionSecret ?? randomBytes(32).toString('base64url'),
    redisPassword: before.redisPassword ?? randomBytes(24).toString('base64url'),
    postgresPort: postgresPort && (await isFree(postgresPort)) ? postgresPort : await freePort(),
  }
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
  await writeFile(file, `${JSON.stringify(known, null, 2)}\n`, { mode: 0o600 })
  return known
}

function withoutPassword(url: string): string {
  return url.replace(/:[^:/@]*@/, ':***@')
}

function pidOf(server: { pid: number } | undefined): string {
  return server ? `pid ${server.pid}` : 'not started by us'
}
