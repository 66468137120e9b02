import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { freePort } from '@repo/testing/free-port'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered, type TetheredProcess } from '@repo/testing/spawn-tethered'
import { request } from 'undici'
import type { Unpacked } from './open-bases.ts'

/** An image that runs as Kubernetes would run it. */
export interface Container extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly exited: TetheredProcess['exited']
  /** From the start of the container until `/readyz` is 200. */
  readonly readyAfterMs: Promise<number>
  output(): string
  /** SIGTERM to its process 1, and how that ended. */
  stop(): Promise<{ code: number | null; tookMs: number }>
  /** `/proc/<pid>/status` of its process 1, as this machine sees it. */
  readonly pid: number
  /** Runs the image's health check in it. */
  isHealthy(): Promise<boolean>
}

const run = promisify(execFile)

/**
 * Process 1, a root that cannot be written to, no capability, another user than root, a folder of its own for temporary
 * files, nothing of our environment. The network is the machine's, where the stores are.
 */
export async function runContainer(
  { config, folder }: Unpacked,
  environment: Record<string, string>,
  givenPort?: number,
): Promise<Container> {
  const port = givenPort ?? (await freePort())
  const [user, group] = config.User.split(':')
  const variables = Object.entries({
    ...Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])),
    ...environment,
    PORT: `${port}`,
    HOST: '127.0.0.1',
  })
  const startedAt = performance.now()
  let tell: (pid: number) => void
  const pidKnown = new Promise<number>((resolve) => (tell = resolve))
  const running = spawnTethered(
    'bwrap',
    [
      ['--unshare-all', '--share-net', '--die-with-parent', '--as-pid-1', '--new-session'],
      ['--uid', user!, '--gid', group!, '--cap-drop', 'ALL'],
      ['--ro-bind', folder, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'],
      ['--chdir', config.WorkingDir, '--clearenv', '--json-status-fd', '4'],
      variables.flatMap(([name, value]) => ['--setenv', name, value]),
      config.Entrypoint,
      config.Cmd,
    ].flat(),
    {
      env: { PATH: process.env.PATH },
      onReport: (line) => {
        const pid = (JSON.parse(line) as { 'child-pid'?: number })['child-pid']
        if (pid) tell(pid)
      },
    },
  )
  const pid = await Promise.race([
    pidKnown,
    running.exited.then(() => Promise.reject(new Error(running.output()))),
  ])
  const url = `http://127.0.0.1:${port}`

  async function awaitReady(): Promise<number> {
    await pollUntil(
      `${url} is ready`,
      async () => {
        if (!running.isRunning) return true
        const { statusCode, body } = await request(`${url}/readyz`, { reset: true })
        await body.dump()
        return statusCode === 200
      },
      { deadlineMs: 20_000, everyMs: 10 },
    )
    if (!running.isRunning) throw new Error(`it ended before it was ready:\n${running.output()}`)
    return performance.now() - startedAt
  }
  const readyAfterMs = awaitReady()
  readyAfterMs.catch(() => {})

  async function stop(): Promise<{ code: number | null; tookMs: number }> {
    const begunAt = performance.now()
    if (running.isRunning) process.kill(pid, 'SIGTERM')
    const { code } = await running.exited
    return { code, tookMs: performance.now() - begunAt }
  }

  return {
    url,
    port,
    pid,
    exited: running.exited,
    readyAfterMs,
    output: running.output,
    stop,
    async isHealthy() {
      const [kind, program, ...args] = config.Healthcheck?.Test ?? []
      if (kind !== 'CMD' || !program)
        throw new Error('The image has no health check that runs without a shell')
      const env = { PATH: `${process.env.PATH}:/usr/sbin`, PORT: `${port}` }
      // In the image's own files, with the image's own Node.
      return run('chroot', [`--userspec=${config.User}`, folder, program, ...args], { env }).then(
        () => true,
        () => false,
      )
    },
    async [Symbol.asyncDispose]() {
      if (running.isRunning) process.kill(pid, 'SIGKILL')
      await running[Symbol.asyncDispose]()
    },
  }
}
