import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expectAnswer, runBackingService, type BackingService } from './backing-service.ts'
import { findProgram } from './programs.ts'
import { freePort } from './ports.ts'
import { openTemporaryFolder } from './open-temporary-folder.ts'
import { spawnTethered } from './spawn-tethered.ts'

export interface RedisOptions {
  /** Where the data lives on; without it a temporary folder, removed at the end. */
  directory?: string
  /** Default: a free one. */
  port?: number
  /** This one of the two and no other. Default: whichever there is, Redis first. */
  program?: 'redis-server' | 'valkey-server'
  /** Who does not know it is refused. Default: nobody is asked. */
  password?: string
  /** More of Redis's own arguments, as `['--maxmemory', '10mb']`. */
  args?: string[]
}

/**
 * A real Redis on loopback, from the `redis-server` or `valkey-server` of this machine; undefined when it does
 * not have it. Every write is in its append-only file before it is answered, so `kill()` and `restart()` lose nothing.
 */
export async function startRedis(options: RedisOptions = {}): Promise<BackingService | undefined> {
  const program = options.program ? findProgram(options.program) : findRedis()
  if (!program) return undefined
  await using opening = new AsyncDisposableStack()
  const directory = options.directory ?? opening.use(await openTemporaryFolder('redis')).path
  const port = options.port ?? (await freePort())
  // In a file, since every user of the machine can read a command line.
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
    // Redis's default may hold a write back for two seconds while the disk is busy with an earlier one, and a kill would
    // lose it. Nobody pulls the plug here, so the kernel may take its time with the disk.
    '--appendfsync',
    'no',
  ]

  return runBackingService({
    url: `redis://${password ? `:${password}@` : ''}127.0.0.1:${port}`,
    launch: () =>
      spawnTethered(program, [...settings, ...(options.args ?? [])], {
        env: { PATH: process.env.PATH },
      }),
    // A Redis that still reads its data back answers -LOADING.
    check: async () =>
      void (await expectAnswer(port, password ? `AUTH ${password}\r\nPING` : 'PING', /^\+PONG/m)),
    resources: opening.move(),
  })
}

/** Redis and its descendant Valkey are one to us. */
export function findRedis(): string | undefined {
  return findProgram('redis-server', 'valkey-server')
}
