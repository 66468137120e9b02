import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from '@repo/testing/programs'
import { isListening } from '@repo/testing/ports'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'

/** One process that the load balancer may use. Its probes tell whether the process is there now. */
export interface Backend {
  name: string
  port: number
}

/** How often the load balancer probes each process, in milliseconds. A process must drain for longer. */
export const BALANCER_PROBE_MS = 200

/**
 * Starts HAProxy, and resolves when it listens.
 *
 * @param port the port of loopback on which the configuration makes it listen
 * @throws when this machine has no HAProxy, or HAProxy ends: then with its output
 */
export async function startHaproxy(port: number, config: string): Promise<AsyncDisposable> {
  const program = findProgram('haproxy')
  if (!program) throw new Error('This machine has no haproxy')
  await using starting = new AsyncDisposableStack()
  const folder = starting.use(await openTemporaryFolder('haproxy'))
  const file = join(folder.path, 'haproxy.cfg')
  await writeFile(file, config)
  const running = spawnTethered(program, ['-db', '-f', file], {
    env: { PATH: process.env.PATH },
  })
  starting.defer(() => running.stop())
  await pollUntil('HAProxy listens', () => {
    if (!running.isRunning) throw new Error(running.output())
    return isListening(`http://127.0.0.1:${port}`)
  })
  return starting.move()
}

/** A typical configuration of a load balancer: it probes each process, and retries GET and HEAD. */
export function renderConfig(port: number, backends: readonly Backend[]): string {
  return `defaults
  mode http
  maxconn 4000
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout check 2s
  option forwardfor
  option redispatch 1
  retries 3

frontend public
  bind 127.0.0.1:${port}
  default_backend edge

backend edge
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  # When a process dies before the first byte of its answer, only GET and HEAD are retried: others may have changed data.
  retry-on conn-failure empty-response
  http-request disable-l7-retry unless { method GET HEAD }
  # Two failed probes: a busy process may answer one probe late.
  default-server check inter ${BALANCER_PROBE_MS}ms fall 2 rise 1
${backends.map(({ name, port }) => `  server ${name} 127.0.0.1:${port}`).join('\n')}
`
}
