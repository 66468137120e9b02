import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { pollUntil } from '@repo/testing/poll-until'
import { startMailCatcher } from '@repo/testing/start-mail-catcher'
import { startPostgres } from '@repo/testing/start-postgres'
import { startRedis } from '@repo/testing/start-redis'
import { databaseEnvironment, sessionsIn } from '../../databases.ts'
import { environmentOf, GRACE_S } from '../../deploy/platform.ts'
import { isRelease, type VariablesOf } from '../../deploy/variables.ts'
import type { Formation, ProcessType } from '../../formation.ts'
import type { Unpacked } from './open-images.ts'
import { runContainer, type Container, type ContainerOptions } from './run-container.ts'

const run = promisify(execFile)

/** The stores of the containers of a verification. */
export interface Stores extends AsyncDisposable {
  /** The secret variables of a process type. */
  secretsFor(type: ProcessType): Record<string, string>
  /** Values that must not appear in an image, in a log, or in the arguments of a process. */
  readonly secretValues: readonly string[]
}

export async function openStores(formation: Formation, variables: VariablesOf): Promise<Stores> {
  await using opening = new AsyncDisposableStack()
  const postgres = opening.use(await startPostgres())
  const redis = await startRedis()
  if (redis) opening.use(redis)
  const mail = opening.use(await startMailCatcher())
  const stores = opening.move()
  const cookies = randomBytes(32).toString('base64url')
  const session = {
    SESSION_STORE_URL: redis?.url ?? sessionsIn(postgres.url),
    SESSION_SECRETS: cookies,
  }
  const databaseOf = databaseEnvironment(formation, postgres.url, session.SESSION_STORE_URL)
  const urls = [...formation.release, ...formation.running].flatMap((type) => Object.values(databaseOf(type)))
  return {
    secretsFor: (type) => ({
      ...valuesInDevelopment(type, variables),
      ...databaseOf(type),
      ...(type.needs.includes('session') && session),
      ...(type.needs.includes('mail') && mail.env),
    }),
    secretValues: [...new Set(urls.map((url) => new URL(url).password)), cookies].filter(Boolean),
    [Symbol.asyncDispose]: () => stores.disposeAsync(),
  }
}

/** The development values of a team's own variables. The image runs with NODE_ENV=production, which ignores them. */
function valuesInDevelopment({ name }: ProcessType, variables: VariablesOf): Record<string, string> {
  const known = (variables.get(name) ?? []).filter(({ inDevelopment }) => inDevelopment !== undefined)
  return Object.fromEntries(known.map((one) => [one.name, one.inDevelopment!]))
}

/** The environment that the rendered manifests give a process type, with the addresses of this machine. */
export function containerEnvironment(
  type: ProcessType,
  formation: Formation,
  { secretsFor }: Stores,
): Record<string, string> {
  return {
    ...(!isRelease(type, formation) && environmentOf(type, formation)),
    PUBLIC_ORIGIN: 'https://localhost:8443',
    LOG_LEVEL: 'info',
    ...secretsFor(type),
  }
}

/** Runs a release image to its end, twice: the first run must apply migrations, the second has nothing to apply. */
export async function verifyRelease(
  image: Unpacked,
  environment: Record<string, string>,
  options: ContainerOptions,
): Promise<string> {
  const lines: string[] = []
  for (const expected of ['applied', 'nothing to apply']) {
    await using container = await runContainer(image, environment, options)
    const { code } = await container.exited
    const output = container.output()
    if (code !== 0 || !output.includes(expected)) throw new Error(`it ended with ${code}:\n${output}`)
    lines.push(expected)
  }
  return lines.join(', then ')
}

/**
 * Starts a container, sends the requests that a platform sends and some others, and stops it.
 *
 * @returns a sentence with times and memory
 * @throws with all problems, one on each line
 */
export async function verifyRun(
  image: Unpacked,
  environment: Record<string, string>,
  secrets: readonly string[],
  options: ContainerOptions & { memoryMiB: number },
): Promise<string> {
  const startedAt = Date.now()
  await using container = await runContainer(image, environment, options)
  const readyAfterMs = await container.readyAfterMs
  const problems = await confinementProblems(container)
  if (!(await container.isHealthy())) problems.push('its health check fails while it is ready')
  for (const path of ['/livez', '/metrics', '/openapi.json', '/', '/%00', '/api/nowhere?token=x']) {
    const status = await container.statusOf(path)
    if (status >= 500) problems.push(`it answers ${path} with ${status}`)
  }
  const written = await filesWritten(container, startedAt)
  if (written) problems.push(`it writes outside its temporary folder: ${written}`)
  if (await isShown(secrets)) problems.push('a secret is among the arguments of a process, for all to read')
  const { memoryMiB } = await container.usage()
  if (memoryMiB > options.memoryMiB) problems.push(`it takes ${memoryMiB} MiB of ${options.memoryMiB}`)

  const { code, tookMs } = await container.stop()
  if (tookMs > (options.graceMs ?? GRACE_S * 1000)) problems.push('it had to be killed')
  else if (code !== 0) problems.push(`it ended with ${code} after SIGTERM:\n${container.output()}`)
  if (secrets.some((secret) => container.output().includes(secret))) problems.push('a secret is in its log')
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return `ready in ${Math.round(readyAfterMs)} ms, ${memoryMiB} MiB of ${options.memoryMiB}, ended in ${Math.round(tookMs)} ms`
}

/** Starts a container without reachable stores: it must stay alive, answer 503 on /readyz, and not log its secrets. */
export async function verifyWithoutStores(
  image: Unpacked,
  environment: Record<string, string>,
  secrets: readonly string[],
): Promise<string> {
  const unreachable = Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, value.replace(/(@?127\.0\.0\.1):\d+/, '$1:1')]),
  )
  await using container = await runContainer(image, unreachable)
  let status = 0
  let hasEnded = false
  void container.exited.then(() => (hasEnded = true))
  await pollUntil('it answers', async () => hasEnded || (status = await container.statusOf('/readyz')) > 0)
  if (hasEnded) throw new Error(`it ended with ${(await container.exited).code}:\n${container.output()}`)
  const { code } = await container.stop()
  const problems = [
    ...(status === 503 ? [] : [`/readyz is ${status}`]),
    ...(code === 0 ? [] : [`it ended with ${code} after SIGTERM`]),
    ...(secrets.some((secret) => container.output().includes(secret)) ? ['a secret is in its log'] : []),
  ]
  if (problems.length > 0) throw new Error(`${problems.join('\n')}\n${container.output()}`)
  return ''
}

/** @returns what is missing in the confinement of process 1, as /proc shows it */
async function confinementProblems({ pid }: Container): Promise<string[]> {
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

/** Files that were written in a container since then, except in /proc, /sys and /tmp. */
async function filesWritten({ pid }: Container, since: number): Promise<string> {
  // The slash at the end makes find follow the link.
  const root = `/proc/${pid}/root/`
  const pruned = ['proc', 'sys', 'tmp'].flatMap((name) => ['-path', root + name, '-prune', '-o'])
  const found = [root, ...pruned, '-type', 'f', '-newermt', `@${since / 1000}`, '-print']
  return (await run('find', found)).stdout.trim()
}

/** Whether the arguments of any process of this machine contain one of these values. */
async function isShown(values: readonly string[]): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.some((line) => values.some((value) => line.includes(value)))
}
