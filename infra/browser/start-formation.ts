import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { freePort } from '../../packages/testing/src/ports.ts'
import { startMailCatcher, type MailCatcher } from '../../packages/testing/src/start-mail-catcher.ts'
import { startPostgres } from '../../packages/testing/src/start-postgres.ts'
import { startProcess, type NodeProcess } from '../../packages/testing/src/start-process.ts'
import { startRedis } from '../../packages/testing/src/start-redis.ts'
import { make, productsOf } from '../dev/make.ts'
import { databaseEnvironment, sessionsIn } from '../databases.ts'
import { frontDoor, readFormation, upstreams, type ProcessType } from '../formation.ts'

const ROOT = join(import.meta.dirname, '../..')
const PROCESSES_OF_EACH = 2

/** The whole formation on its own servers and ports, so it does not disturb `pnpm dev`. */
export interface RunningFormation extends AsyncDisposable {
  url: string
  processes: NodeProcess[]
  /** Starts a process anew in the place of one that was killed. Resolves when it is ready. */
  restart(name: string): Promise<void>
  /** The mails that the processes have sent. */
  mails: MailCatcher
}

/** Starts two processes of every type in the formation, one edge in front of them, and the stores that they need. */
export async function startFormation(): Promise<RunningFormation> {
  await using starting = new AsyncDisposableStack()
  const formation = readFormation(ROOT)
  const door = frontDoor(formation)!
  await Promise.all(productsOf(ROOT, formation).map((product) => make(ROOT, product, () => {})))
  const doorPort = await freePort()
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()])
  starting.use(postgres)
  if (redis) starting.use(redis)
  const mail = starting.use(await startMailCatcher())
  const env = {
    NODE_ENV: 'development',
    LOG_LEVEL: 'warn',
    PUBLIC_ORIGIN: `http://localhost:${doorPort}`,
    SESSION_STORE_URL: redis?.url ?? sessionsIn(postgres.url),
    SESSION_SECRETS: randomBytes(32).toString('base64url'),
    ...mail.env,
    UPSTREAM_PROBE_MS: '100',
    DRAIN_MS: '150',
  }

  const running = starting.use(new AsyncDisposableStack())
  const databaseOf = databaseEnvironment(formation, postgres.url, env.SESSION_STORE_URL)
  async function start(
    type: ProcessType,
    n: number,
    more: Record<string, string> = {},
  ): Promise<NodeProcess> {
    const name = `${type.name}.${n}`
    return running.use(
      await startProcess({
        name,
        cwd: join(ROOT, type.app),
        entry: type.entry,
        env: { ...env, ...databaseOf(type), ...more, PROCESS_NAME: name },
      }),
    )
  }

  for (const type of formation.release) {
    const release = await start(type, 1)
    const { code } = await release.exited
    if (code !== 0) throw new Error(`${type.name} failed:\n${release.output()}`)
  }

  const started = new Map<ProcessType, NodeProcess[]>()
  for (const type of formation.running) {
    if (type === door) continue
    started.set(type, [])
    for (let n = 1; n <= PROCESSES_OF_EACH; n++) started.get(type)!.push(await start(type, n))
  }
  const services = [...started.values()].flat()
  const urlsOf = (type: ProcessType): string[] => started.get(type)!.map(({ url }) => url)
  const edge = await start(door, 1, { PORT: `${doorPort}`, UPSTREAMS: upstreams(formation, urlsOf) })
  await Promise.all([...services, edge].map(({ ready }) => ready))

  const processes = [...services, edge]
  const resources = starting.move()
  return {
    url: env.PUBLIC_ORIGIN,
    processes,
    async restart(name) {
      const index = processes.findIndex((process) => process.name === name)
      const { port } = processes[index]!
      const type = formation.running.find((type) => type.name === name.replace(/\.\d$/, ''))!
      processes[index] = await start(type, Number(name.at(-1)), { PORT: `${port}` })
      await processes[index].ready
    },
    mails: mail,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}
