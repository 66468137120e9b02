import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import type { Formation, ProcessType } from '../formation.ts'
import { environmentOf, GRACE_S, SECRETS } from '../render/platform.ts'
import type { Unpacked } from './open-bases.ts'
import { runContainer, type Container } from './run-container.ts'

const MOST_BYTES = 200_000_000

/** What the containers of a verification are attached to. */
export interface Stores extends AsyncDisposable {
  readonly secrets: Readonly<Record<string, string>>
}

export async function openStores(): Promise<Stores> {
  await using opening = new AsyncDisposableStack()
  const postgres = opening.use(await startPostgres())
  const redis = await startRedis()
  if (redis) opening.use(redis)
  const stores = opening.move()
  return {
    secrets: {
      DATABASE_URL: postgres.url,
      SESSION_STORE_URL: redis?.url ?? postgres.url,
      SESSION_SECRETS: randomBytes(32).toString('base64url'),
    },
    [Symbol.asyncDispose]: () => stores.disposeAsync(),
  }
}

/** The environment that the rendered manifests give it, with the addresses of this machine. */
export function containerEnvironment(
  type: ProcessType,
  formation: Formation,
  { secrets }: Stores,
  more: Record<string, string> = {},
): Record<string, string> {
  const names = type.needs.flatMap((need) => SECRETS[need])
  return {
    ...environmentOf(type, formation),
    PUBLIC_ORIGIN: 'https://localhost:8443',
    LOG_LEVEL: 'info',
    ...Object.fromEntries(names.map((name) => [name, secrets[name]!])),
    ...more,
  }
}

/** @returns what is wrong with an image as it lies there; empty when nothing is */
export function imageProblems({ config, bytes }: Unpacked, { name }: ProcessType): string[] {
  const [program] = config.Entrypoint
  const [kind, checker] = config.Healthcheck?.Test ?? []
  const names = Object.values(SECRETS).flat()
  return [
    ...(bytes > MOST_BYTES ? [`it weighs ${Math.round(bytes / 1e6)} MB, more than ${MOST_BYTES / 1e6}`] : []),
    ...(/^[1-9]\d*:[1-9]\d*$/.test(config.User) ? [] : [`it runs as "${config.User}", which may be root`]),
    ...(program?.endsWith('/node')
      ? []
      : [`process 1 is ${program}, which is not Node and gets no signal for it`]),
    ...(kind === 'CMD' && checker === program
      ? []
      : ['it has no health check that Node runs without a shell']),
    ...(config.Labels['org.opencontainers.image.title'] === `nonstick/${name}`
      ? []
      : ['its title is missing']),
    ...(config.Labels['org.opencontainers.image.revision']
      ? []
      : ['it does not say of which revision it is']),
    ...config.Env.filter((line) => names.some((secret) => line.startsWith(`${secret}=`))).map(
      (line) => `${line.split('=')[0]} is in it`,
    ),
  ]
}

/** @returns what is wrong with how a process 1 is run, by what the kernel says about it; empty when nothing is */
export async function confinementProblems({ pid }: Container): Promise<string[]> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const mounts = await readFile(`/proc/${pid}/mounts`, 'utf8')
  const field = (name: string): string => new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? ''
  const root = mounts.split('\n').find((line) => line.split(' ')[1] === '/')
  return [
    ...(field('NSpid').split('\t').at(-1) === '1' ? [] : ['it is not process 1']),
    ...(BigInt(`0x${field('CapEff')}`) === 0n ? [] : [`it has capabilities: ${field('CapEff')}`]),
    ...(field('NoNewPrivs') === '1' ? [] : ['it may get privileges']),
    ...(root?.split(' ')[3]?.split(',').includes('ro') ? [] : [`its root can be written to: ${root}`]),
  ]
}

/** Runs a release image to its end: once for the work, once to see that it is safe to repeat. */
export async function verifyRelease(image: Unpacked, environment: Record<string, string>): Promise<string> {
  const lines: string[] = []
  for (const expected of ['applied', 'nothing to apply']) {
    await using container = await runContainer(image, environment)
    const { code } = await container.exited
    const output = container.output()
    if (code !== 0 || !output.includes(expected)) throw new Error(`it ended with ${code}:\n${output}`)
    lines.push(expected)
  }
  return lines.join(', then ')
}

/** Starts one container, asks everything that a platform asks, and stops it. */
export async function verifyRun(image: Unpacked, environment: Record<string, string>): Promise<string> {
  await using container = await runContainer(image, environment)
  const readyAfterMs = await container.readyAfterMs
  const problems = await confinementProblems(container)
  if (!(await container.isHealthy())) problems.push('its health check fails while it is ready')
  const memory = /^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${container.pid}/status`, 'utf8'))?.[1]
  const { code, tookMs } = await container.stop()
  if (code !== 0) problems.push(`it ended with ${code} after SIGTERM:\n${container.output()}`)
  if (tookMs > GRACE_S * 1000) problems.push(`it took ${Math.round(tookMs)} ms to end`)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  const memoryMiB = Math.round(Number(memory) / 1024)
  return `ready in ${Math.round(readyAfterMs)} ms, ${memoryMiB} MiB, ended in ${Math.round(tookMs)} ms`
}
