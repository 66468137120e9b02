import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { freePort } from '../../packages/testing/src/ports.ts'
import { startMailCatcher, type MailCatcher } from '../../packages/testing/src/start-mail-catcher.ts'
import { startPostgres } from '../../packages/testing/src/start-postgres.ts'
import { startProcess, type NodeProcess } from '../../packages/testing/src/start-process.ts'
import { startRedis } from '../../packages/testing/src/start-redis.ts'
import { make, productsOf } from '../dev/make.ts'
import { databaseEnvironment, sessionsIn } from '../databases.ts'
import { frontDoor, readFormation, upstreamsOf, type ProcessType } from '../formation.ts'

const ROOT = join(import.meta.dirname, '../..')

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
  // Known before the first process starts, because services may call each other.
  const ports = new Map<ProcessType, number[]>([[door, [doorPort]]])
  for (const type of formation.running.filter((type) => type !== door))
    ports.set(type, [await freePort(), await freePort()])
  const urlsOf = (type: ProcessType): string[] => ports.get(type)!.map((port) => `http://127.0.0.1:${port}`)

  async function start(type: ProcessType, n: number): Promise<NodeProcess> {
    const name = `${type.name}.${n}`
    const PORT = ports.get(type)?.[n - 1]
    return running.use(
      await startProcess({
        name,
        cwd: join(ROOT, type.app),
        entry: type.entry,
        env: {
          ...env,
          ...databaseOf(type),
          ...upstreamsOf(type, formation, urlsOf),
          ...(PORT && { PORT: `${PORT}` }),
          PROCESS_NAME: name,
        },
      }),
    )
  }

  for (const type of formation.release) {
    const release = await start(type, 1)
    const { code } = await release.exited
    if (code !== 0) throw new Error(`${type.name} failed:\n${release.output()}`)
  }

  const processes: NodeProcess[] = []
  for (const [type, { length }] of ports)
    for (let n = 1; n <= length; n++) processes.push(await start(type, n))
  await Promise.all(processes.map(({ ready }) => ready))

  const resources = starting.move()
  return {
    url: env.PUBLIC_ORIGIN,
    processes,
    async restart(name) {
      const index = processes.findIndex((process) => process.name === name)
      const type = formation.running.find((type) => type.name === name.replace(/\.\d$/, ''))!
      processes[index] = await start(type, Number(name.at(-1)))
      await processes[index].ready
    },
    mails: mail,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}
