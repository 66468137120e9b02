import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expectAnswer, runBackingService, type BackingService } from './backing-service.ts'
import { findProgram } from './programs.ts'
import { freePort } from './ports.ts'
import { openTemporaryFolder } from './open-temporary-folder.ts'
import { spawnTethered } from './spawn-tethered.ts'

export interface RedisOptions {
  /** Keeps the data here. Default: a temporary folder, removed at the end. */
  directory?: string
  /** Default: a free one. */
  port?: number
  /** Only this program. Default: the one that is installed, Redis first. */
  program?: 'redis-server' | 'valkey-server'
  /** Clients need it. Default: none. */
  password?: string
  /** Further arguments of Redis, such as `['--maxmemory', '10mb']`. */
  args?: string[]
}

/**
 * Starts a real Redis on loopback, from the `redis-server` or `valkey-server` of this machine. Undefined if none is
 * installed. Every write is in its append-only file before it is answered, so `kill()` and `restart()` lose nothing.
 */
export async function startRedis(options: RedisOptions = {}): Promise<BackingService | undefined> {
  const program = options.program ? findProgram(options.program) : findRedis()
  if (!program) return undefined
  await using opening = new AsyncDisposableStack()
  const directory = options.directory ?? opening.use(await openTemporaryFolder('redis')).path
  const port = options.port ?? (await freePort())
  // In a file, because every user of the machine can read a command line.
  const secrets = join(directory, 'redis.conf')
  const { password } = options
  if (password) await writeFile(secrets, `requirepass ${password}\n`, { mode: 0o600 })
  const settings = [
    ...(password ? [secrets] : []),
    '--bind',
    '127.0.0.1',
    '--port',
    `${port}`,
    '--dir',
    directory,
    '--save',
    '',
    '--appendonly',
    'yes',
    // With Redis's default, a write may wait for two seconds while the disk is busy with an earlier one, and a kill would
    // lose it. Tests have no power cut, so the kernel may write to the disk later.
    '--appendfsync',
    'no',
  ]

  return runBackingService({
    url: `redis://${password ? `:${password}@` : ''}127.0.0.1:${port}`,
    launch: () =>
      spawnTethered(program, [...settings, ...(options.args ?? [])], {
        env: { PATH: process.env.PATH },
      }),
    // A Redis that is still loading its data answers -LOADING.
    check: async () =>
      void (await expectAnswer(port, password ? `AUTH ${password}\r\nPING` : 'PING', /^\+PONG/m)),
    resources: opening.move(),
  })
}

/** The path of Redis or of its fork Valkey. */
export function findRedis(): string | undefined {
  return findProgram('redis-server', 'valkey-server')
}
