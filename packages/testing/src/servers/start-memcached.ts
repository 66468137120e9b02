import { expectAnswer, runBackingService, type BackingService } from '../backing-service.ts'
import { findProgram } from '../programs.ts'
import { freePort } from '../ports.ts'
import { spawnTethered } from '../spawn-tethered.ts'

export interface MemcachedOptions {
  /** Default: a free one. */
  port?: number
  /** Further arguments of memcached, such as `['-m', '1']` for one megabyte. */
  args?: string[]
}

/**
 * Starts a real memcached on loopback. Undefined if it is not installed. Its data is only in memory, so it is empty after
 * `restart()`.
 */
export async function startMemcached(options: MemcachedOptions = {}): Promise<BackingService | undefined> {
  const program = findProgram('memcached')
  if (!program) return undefined
  const port = options.port ?? (await freePort())
  const user = process.getuid?.() === 0 ? ['-u', 'root'] : []

  return runBackingService({
    url: `memcached://127.0.0.1:${port}`,
    launch: () =>
      spawnTethered(
        program,
        ['-l', '127.0.0.1', '-p', `${port}`, '-U', '0', ...user, ...(options.args ?? [])],
        {
          env: { PATH: process.env.PATH },
        },
      ),
    check: async () => void (await expectAnswer(port, 'version', /^VERSION/)),
    resources: new AsyncDisposableStack(),
  })
}
