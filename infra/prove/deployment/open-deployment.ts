import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BackingService } from '@repo/testing'
import { startMailCatcher, type MailCatcher } from '@repo/testing/start-mail-catcher'
import { startPostgres } from '@repo/testing/start-postgres'
import { startProcess } from '@repo/testing/start-process'
import { startRedis } from '@repo/testing/start-redis'
import { make, productsOf } from '../../dev/make.ts'
import { databaseEnvironment, sessionsIn } from '../../databases.ts'
import {
  frontDoor,
  heapFlags,
  readFormation,
  upstreamsOf,
  type Formation,
  type ProcessType,
} from '../../formation.ts'
import { BALANCER_PROBE_MS, renderConfig, startHaproxy } from './haproxy.ts'
import { openReplica, type Replica, type ReplicaEnvironment } from './replica.ts'
import { reservePorts } from './reserve-ports.ts'

const ROOT = join(import.meta.dirname, '../../..')

/** Replicas of each type that the load balancer and the edge know. The attack decides how many of them run. */
const MOST_OF_EACH = 4

/** Ten times the probe interval, like the defaults in production (5000 ms and 500 ms). */
const DRAIN_MS = 10 * BALANCER_PROBE_MS
const GRACE_MS = 10_000

/**
 * The time after which the edge and the load balancer send requests to a process that has become ready, even on a busy
 * machine. Both probe every 200 ms.
 */
export const NOTICE_MS = 5 * BALANCER_PROBE_MS

/**
 * The time after which another process of the type may be killed once a process is ready: as long as a rolling restart
 * leaves, which drains the old process.
 */
export const RELIED_ON_MS = NOTICE_MS + DRAIN_MS

export interface DeploymentOptions {
  /** Processes of each type. Default: 2. */
  each?: number
  /** URL of the session store. Default: a Redis of the deployment's own, or its Postgres when this machine has no Redis. */
  sessionStoreUrl?: string
  /** Variables for every process; they override all others. */
  env?: ReplicaEnvironment
  /** Environment variables of Postgres. */
  postgresEnv?: Record<string, string>
  /** Modules that every process loads before its own entry: planted faults. */
  preloads?: readonly string[]
}

/** The whole formation on servers and ports of its own, behind a real HAProxy. */
export interface Deployment extends AsyncDisposable {
  readonly formation: Formation
  /** URL of the load balancer. */
  readonly url: string
  readonly graceMs: number
  /** Processes of each type. */
  readonly each: number
  /** The secret that signs cookies. */
  readonly sessionSecret: string
  readonly postgres: BackingService
  /** Undefined with `sessionStoreUrl`, or when this machine has no Redis. */
  readonly redis: BackingService | undefined
  /** Has the mails of all processes. */
  readonly mail: Pick<MailCatcher, 'waitForMail'>
  /** All replicas of a type, or of all types, running or not. */
  places(type?: ProcessType): readonly Replica[]
  /** The replicas that run. */
  inhabited(type?: ProcessType): readonly Replica[]
  /** One sentence for each process that ended by itself. */
  readonly crashes: string[]
  /** Restores the initial state: the first `each` replicas of each type run, and no others. */
  heal(): Promise<void>
}

export async function openDeployment(options: DeploymentOptions = {}): Promise<Deployment> {
  const { each = 2, preloads = [] } = options
  await using opening = new AsyncDisposableStack()
  const formation = readFormation(ROOT)
  const [postgres, redis, mail] = await Promise.all([
    startPostgres({ env: options.postgresEnv ?? {} }).then((server) => opening.use(server)),
    options.sessionStoreUrl ? undefined : startRedis().then((server) => opening.use(server)),
    startMailCatcher().then((catcher) => opening.use(catcher)),
    ...productsOf(ROOT, formation).map((product) => make(ROOT, product, () => {})),
  ])

  const [port, ...ports] = await reservePorts(1 + formation.running.length * MOST_OF_EACH)
  const numbered = formation.running.flatMap((type) =>
    Array.from({ length: MOST_OF_EACH }, (_, i) => ({
      type,
      name: `${type.name}.${i + 1}`,
      port: ports.shift()!,
    })),
  )
  const door = frontDoor(formation)
  if (!door) throw new Error('The formation has no process type with the route "/"')

  const env: ReplicaEnvironment = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'warn',
    // As in an image. Node writes the cache at exit, which takes a process with an empty one longer than its grace time.
    NODE_COMPILE_CACHE: undefined,
    PUBLIC_ORIGIN: 'http://localhost',
    TRUST_PROXY: 'loopback',
    DRAIN_MS: `${DRAIN_MS}`,
    SHUTDOWN_DEADLINE_MS: `${GRACE_MS - 1000}`,
    UPSTREAM_PROBE_MS: `${BALANCER_PROBE_MS}`,
    // Imports are fetched from servers on loopback.
    IMPORT_ALLOWED_ADDRESSES: '127.0.0.1',
  }
  const sessionSecret = randomBytes(32).toString('base64url')
  const session = {
    SESSION_STORE_URL: options.sessionStoreUrl ?? redis?.url ?? sessionsIn(postgres.url),
    SESSION_SECRETS: sessionSecret,
  }
  const databaseOf = databaseEnvironment(formation, postgres.url, session.SESSION_STORE_URL)
  const urlsOf = (type: ProcessType): string[] =>
    numbered.filter((place) => place.type === type).map((place) => `http://127.0.0.1:${place.port}`)

  function environmentOf(type: ProcessType): ReplicaEnvironment {
    return {
      ...env,
      ...databaseOf(type),
      ...(type.needs.includes('session') && session),
      ...(type.needs.includes('mail') && mail.env),
      ...upstreamsOf(type, formation, urlsOf),
      ...options.env,
    }
  }

  for (const type of formation.release) {
    const { name, app, entry } = type
    const release = await startProcess({ name, cwd: join(ROOT, app), entry, env: environmentOf(type) })
    const { code } = await release.exited
    if (code !== 0) throw new Error(`${name} failed:\n${release.output()}`)
  }

  const crashes: string[] = []
  const places = numbered.map((numbered) =>
    openReplica({
      ...numbered,
      cwd: join(ROOT, numbered.type.app),
      env: environmentOf(numbered.type),
      nodeArgs: [...heapFlags(numbered.type), ...preloads.flatMap((preload) => ['--import', preload])],
      graceMs: GRACE_MS,
      onCrash: (sentence) => void crashes.push(sentence),
    }),
  )
  const of = (type?: ProcessType): Replica[] => places.filter((place) => !type || place.type === type)
  opening.defer(async () => void (await Promise.all(places.map((place) => place.kill()))))

  async function populate(): Promise<number> {
    const vacant = formation.running
      .flatMap((type) => of(type).slice(0, each))
      .filter(({ pid }) => pid === undefined)
    await Promise.all(vacant.map((place) => place.start()))
    return vacant.length
  }

  async function heal(): Promise<void> {
    await Promise.all(formation.running.flatMap((type) => of(type).slice(each)).map((place) => place.kill()))
    // The edge and the load balancer notice new processes only by their probes.
    if ((await populate()) > 0) await sleep(NOTICE_MS)
  }
  await populate()
  opening.use(await startHaproxy(port!, renderConfig(port!, of(door))))

  const resources = opening.move()
  return {
    formation,
    url: `http://127.0.0.1:${port}`,
    graceMs: GRACE_MS,
    each,
    sessionSecret,
    postgres,
    redis,
    mail,
    places: of,
    inhabited: (type) => of(type).filter(({ pid }) => pid !== undefined),
    crashes,
    heal,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}
