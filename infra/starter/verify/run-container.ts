import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { findProgram } from '@repo/testing/programs'
import { freePort } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered, type TetheredProcess } from '@repo/testing/spawn-tethered'
import { request } from 'undici'
import { GRACE_S } from '../../deploy/platform.ts'
import type { Unpacked } from './open-images.ts'
import { openMemoryLimit } from './open-memory-limit.ts'

/** A container, run as Kubernetes would run it. */
export interface Container extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly exited: TetheredProcess['exited']
  /** From the start of the container until `/readyz` is 200. */
  readonly readyAfterMs: Promise<number>
  /** The status of a GET. Rejects while the process does not listen. */
  statusOf(path: string): Promise<number>
  output(): string
  /** Sends SIGTERM to process 1, and SIGKILL after `graceMs`. Resolves to how it ended. */
  stop(): Promise<{ code: number | null; tookMs: number }>
  /** The pid of process 1 outside the container. */
  readonly pid: number
  /** Runs the image's health check. @throws when it has none, or one that needs a shell */
  isHealthy(): Promise<boolean>
  /** CPU time so far, and memory now: only anonymous memory, without pages of files. */
  usage(): Promise<{ cpuMs: number; memoryMiB: number }>
}

export interface ContainerOptions {
  port?: number
  graceMs?: number
  /** The memory limit. Ignored on a machine that does not let us set one. */
  memoryMiB?: number
}

// Joins the control group, then becomes the program.
const ENTER = 'echo 0 > "$0" && exec "$@"'

const run = promisify(execFile)

/**
 * Runs an image with bubblewrap: as process 1, on a read-only root, without capabilities, as the image's user, with a /tmp of
 * its own and without our environment. The network is the machine's, where the stores are.
 */
export async function runContainer(
  { config, folder }: Unpacked,
  environment: Record<string, string>,
  { port: givenPort, graceMs = GRACE_S * 1000, memoryMiB }: ContainerOptions = {},
): Promise<Container> {
  const port = givenPort ?? (await freePort())
  const [user, group] = config.User.split(':')
  const startedAt = performance.now()
  let tell: (pid: number) => void
  const pidKnown = new Promise<number>((resolve) => (tell = resolve))
  const limit = memoryMiB === undefined ? undefined : await openMemoryLimit(memoryMiB)
  const bwrap = findProgram('bwrap') ?? 'bwrap'
  const running = spawnTethered(
    limit ? '/bin/sh' : bwrap,
    [
      limit ? ['-c', ENTER, limit.door, bwrap] : [],
      ['--unshare-all', '--share-net', '--die-with-parent', '--as-pid-1', '--new-session'],
      ['--uid', user!, '--gid', group!, '--cap-drop', 'ALL'],
      ['--ro-bind', folder, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
      limit ? ['--tmpfs', '/sys', '--ro-bind', limit.mount.from, limit.mount.to, '--remount-ro', '/sys'] : [],
      ['--chdir', config.WorkingDir, '--json-status-fd', '4'],
      config.Entrypoint,
      config.Cmd,
    ].flat(),
    {
      // Not as arguments: every user of the machine can read those.
      env: {
        ...Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s).slice(0, 2))),
        ...environment,
        PORT: `${port}`,
        HOST: '127.0.0.1',
      },
      onReport: (line) => {
        const pid = (JSON.parse(line) as { 'child-pid'?: number })['child-pid']
        if (pid) tell(pid)
      },
    },
  )
  const limitRemoved = running.exited.then(() => limit?.[Symbol.asyncDispose]())
  limitRemoved.catch(() => {})
  const pid = await Promise.race([
    pidKnown,
    running.exited.then(() => Promise.reject(new Error(running.output()))),
  ])
  const url = `http://127.0.0.1:${port}`

  async function statusOf(path: string): Promise<number> {
    const { statusCode, body } = await request(url + path, { reset: true })
    await body.dump()
    return statusCode
  }

  async function awaitReady(): Promise<number> {
    const isOver = async (): Promise<boolean> => !running.isRunning || (await statusOf('/readyz')) === 200
    await pollUntil(`${url} is ready`, isOver, { deadlineMs: 20_000, everyMs: 10 })
    if (!running.isRunning) throw new Error(`it ended before it was ready:\n${running.output()}`)
    return performance.now() - startedAt
  }
  const readyAfterMs = awaitReady()
  readyAfterMs.catch(() => {})

  function kill(signal: NodeJS.Signals): void {
    if (running.isRunning) process.kill(pid, signal)
  }

  return {
    url,
    port,
    pid,
    exited: running.exited,
    readyAfterMs,
    output: running.output,
    statusOf,
    async stop() {
      const begunAt = performance.now()
      kill('SIGTERM')
      const timer = setTimeout(() => kill('SIGKILL'), graceMs)
      const { code } = await running.exited
      clearTimeout(timer)
      return { code, tookMs: performance.now() - begunAt }
    },
    async isHealthy() {
      const [kind, program, ...args] = config.Healthcheck?.Test ?? []
      if (kind !== 'CMD' || !program)
        throw new Error('The image has no health check that runs without a shell')
      const env = { PATH: `${process.env.PATH}:/usr/sbin`, PORT: `${port}` }
      // With the files and the Node of the image.
      return run('chroot', [`--userspec=${config.User}`, folder, program, ...args], { env }).then(
        () => true,
        () => false,
      )
    },
    async usage() {
      const status = await readFile(`/proc/${pid}/status`, 'utf8')
      const [user = 0, system = 0] = (await readFile(`/proc/${pid}/stat`, 'utf8'))
        .split(') ')[1]!
        .split(' ')
        .slice(11, 13)
        .map(Number)
      return {
        // The kernel counts hundredths of a second.
        cpuMs: (user + system) * 10,
        memoryMiB: Math.round(Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1]) / 1024),
      }
    },
    async [Symbol.asyncDispose]() {
      kill('SIGKILL')
      await running[Symbol.asyncDispose]()
      await limitRemoved
    },
  }
}
