import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import type { Need } from '../formation.ts'
import type { Row } from './print.ts'

export interface BackingServices extends AsyncDisposable {
  readonly rows: readonly Row[]
  /** What a process that needs it finds in its environment. */
  readonly environment: Readonly<Record<Need, Record<string, string>>>
}

/**
 * Postgres is the one of DATABASE_URL, or else our own in `.dev/postgres`. Sessions live in SESSION_STORE_URL, or
 * else in a Redis of our own in `.dev/redis`, or where the machine has none in that Postgres. What we start ourselves
 * keeps its data and ends with us.
 */
export async function openBackingServices(
  root: string,
  given: Record<string, string | undefined>,
  say: (sentence: string) => void,
): Promise<BackingServices> {
  await using opening = new AsyncDisposableStack()
  const [postgres, redis, secrets] = await Promise.all([
    given.DATABASE_URL ? undefined : startPostgres({ directory: join(root, '.dev/postgres') }),
    given.SESSION_STORE_URL ? undefined : startRedisIn(join(root, '.dev/redis')),
    readSecrets(join(root, '.dev/secrets.json')),
  ])
  // Stopped only: disposal would be right for a folder that is temporary.
  for (const server of [postgres, redis]) if (server) opening.defer(() => server.stop())

  const databaseUrl = given.DATABASE_URL || postgres!.url
  const sessionStoreUrl = given.SESSION_STORE_URL || redis?.url || databaseUrl
  if (sessionStoreUrl === databaseUrl) {
    say(
      'Sessions live in Postgres: this machine has no redis-server or valkey-server, and SESSION_STORE_URL is not set.',
    )
  }

  const stores = opening.move()
  const rows = [{ type: 'postgres', name: '', url: withoutPassword(databaseUrl), pid: pidOf(postgres) }]
  if (sessionStoreUrl !== databaseUrl) {
    rows.push({ type: 'sessions', name: '', url: withoutPassword(sessionStoreUrl), pid: pidOf(redis) })
  }
  return {
    rows,
    environment: {
      database: { DATABASE_URL: databaseUrl },
      session: {
        SESSION_STORE_URL: sessionStoreUrl,
        SESSION_SECRETS: given.SESSION_SECRETS || secrets.SESSION_SECRETS,
      },
    },
    [Symbol.asyncDispose]: () => stores.disposeAsync(),
  }
}

async function startRedisIn(directory: string): ReturnType<typeof startRedis> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return startRedis({ directory })
}

/** Made once, so that nobody is signed out by a restart, and readable by nobody else. */
async function readSecrets(file: string): Promise<{ SESSION_SECRETS: string }> {
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
  const fresh = JSON.stringify({ SESSION_SECRETS: randomBytes(32).toString('base64url') }, null, 2)
  await writeFile(file, `${fresh}\n`, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return JSON.parse(await readFile(file, 'utf8')) as { SESSION_SECRETS: string }
}

function withoutPassword(url: string): string {
  return url.replace(/:[^:/@]*@/, ':***@')
}

function pidOf(server: { pid: number } | undefined): string {
  return server ? `pid ${server.pid}` : 'not started by us'
}
