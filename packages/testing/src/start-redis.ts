import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { runBackingService, type BackingService } from './backing-service.ts'
import { freePort } from './free-port.ts'
import { spawnTethered } from './spawn-tethered.ts'

export interface RedisOptions {
  /** Where the data lives on; without it a temporary folder, removed at the end. */
  directory?: string
  /** Default: a free one. */
  port?: number
  /** More of Redis's own arguments, as `['--maxmemory', '10mb']`. */
  args?: string[]
}

/**
 * A real Redis on loopback, from the `redis-server` or `valkey-server` of this machine; undefined when it has
 * neither. Every write is in its append-only file before it is answered, so `kill()` and `restart()` lose nothing.
 */
export async function startRedis(options: RedisOptions = {}): Promise<BackingService | undefined> {
  const program = findProgram('redis-server', 'valkey-server')
  if (!program) return undefined
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'nonstick-redis-')))
  const port = options.port ?? (await freePort())
  const settings = [
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
  ]

  return runBackingService({
    url: `redis://127.0.0.1:${port}`,
    launch: () =>
      spawnTethered(program, [...settings, ...(options.args ?? [])], {
        env: { PATH: process.env.PATH },
        removeIfWeDie: options.directory ? undefined : directory,
      }),
    // A Redis that still reads its data back answers -LOADING.
    check: () => expectAnswer(port, 'PING\r\n', '+PONG'),
    async cleanUp() {
      if (!options.directory) await rm(directory, { recursive: true, force: true })
    },
  })
}

/** The first of these programs on PATH. */
export function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
}

/** Says one line to a server and rejects unless its answer begins as expected. */
export async function expectAnswer(port: number, line: string, expected: string): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(1000, () => socket.destroy(new Error('no answer within 1000 ms')))
  try {
    socket.write(line)
    for await (const answer of socket) {
      if (String(answer).startsWith(expected)) return
      throw new Error(`It answered ${String(answer).trim()}`)
    }
    throw new Error('It closed the connection')
  } finally {
    socket.destroy()
  }
}
