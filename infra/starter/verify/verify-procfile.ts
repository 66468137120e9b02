import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, isListening } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'
import { request } from 'undici'
import { readVariables } from '../../deploy/variables.ts'
import { upstreamsOf } from '../../formation.ts'
import type { Ground } from './ground.ts'
import { openStores } from './verify-run.ts'

const run = promisify(execFile)

/** Foreman reserves 100 ports for each line of the Procfile, in order, and gives each process of a line the next port. */
const STEP = 100

/**
 * Runs a Procfile with foreman on the bundles of `pnpm build`: two processes of each type.
 *
 * @throws when a process does not become ready, the edge answers 5xx for a service, or a process is left after SIGTERM
 */
export async function verifyProcfile({ root, formation }: Ground, file: string): Promise<string> {
  await run('pnpm', ['build'], { cwd: root })
  // Stores of its own, because images test their release on empty stores.
  await using stores = await openStores(formation, await readVariables(root, formation))
  const { running } = formation
  const door = running.find(({ route }) => route === '/')!
  const lines = [...formation.release, door, ...running.filter((type) => type !== door)]
  const base = await freePort(lines.flatMap((_, n) => [n * STEP, n * STEP + 1]))
  const portsOf = (name: string): number[] => {
    const first = base + STEP * lines.findIndex((type) => type.name === name)
    return [first, first + 1]
  }
  const counts = [
    ...formation.release.map(() => 'release=0'),
    ...running.map((type) => `${type === door ? 'web' : type.name}=2`),
  ]
  const env = {
    PATH: `${join(process.execPath, '..')}:${process.env.PATH}`,
    HOST: '127.0.0.1',
    PUBLIC_ORIGIN: 'https://localhost:8443',
    TRUST_PROXY: 'loopback',
    ...upstreamsOf(door!, formation, ({ name }) => portsOf(name).map((port) => `http://127.0.0.1:${port}`)),
    // These platforms give all processes the same variables. A variable of one app has the app's name in it.
    ...Object.assign({}, ...running.map((type) => stores.secretsFor(type)), { DATABASE_URL: undefined }),
    ...Object.assign({}, ...formation.release.map((type) => stores.secretsFor(type))),
  }
  const place = [`--procfile=${file}`, `--root=${root}`]
  if (formation.release.length > 0) await run('foreman', ['run', ...place, 'release'], { env })
  await using resources = new AsyncDisposableStack()
  const foreman = spawnTethered(
    'foreman',
    ['start', ...place, `--port=${base}`, `--formation=${counts.join(',')}`, '--timeout=30'],
    { env },
  )
  resources.defer(() => endGroup(foreman.pid))
  resources.use(foreman)
  const ports = running.flatMap(({ name }) => portsOf(name))
  await pollUntil(
    'every process is ready',
    async () => {
      if (!foreman.isRunning) return true
      const answers = await Promise.all(
        ports.map(async (port) => {
          const { statusCode, body } = await request(`http://127.0.0.1:${port}/readyz`, { reset: true })
          await body.dump()
          return statusCode
        }),
      )
      return answers.every((status) => status === 200)
    },
    // All start at the same time, and each probe writes a line into a log.
    { deadlineMs: 60_000, everyMs: 500 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${foreman.output()}`)
  })
  if (!foreman.isRunning) throw new Error(foreman.output())
  for (const { route } of running.filter((type) => type.route && type !== door)) {
    const url = `http://127.0.0.1:${portsOf(door.name)[0]}${route}`
    const { statusCode, body } = await request(url, { reset: true })
    await body.dump()
    if (statusCode >= 500) throw new Error(`the front door answers ${statusCode} for ${route} behind it`)
  }
  const begunAt = performance.now()
  await foreman.stop(40_000)
  const { code } = await foreman.exited
  const urls = ports.map((port) => `http://127.0.0.1:${port}`)
  const listening = await Promise.all(urls.map(isListening))
  const left = urls.filter((_, n) => listening[n])
  if (left.length > 0) throw new Error(`foreman has ended and ${left.join(', ')} still answer`)
  return `${ports.length} processes ready, all ended ${Math.round(performance.now() - begunAt)} ms after SIGTERM (foreman: ${code})`
}

/** Kills the process group of foreman: a process that a signal did not reach would outlive it. */
function endGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
