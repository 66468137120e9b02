import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expectAnswer, runBackingService, type BackingService } from '../backing-service.ts'
import { freePort } from '../ports.ts'
import { openTemporaryFolder } from '../open-temporary-folder.ts'
import { pollUntil } from '../poll-until.ts'
import { spawnTethered } from '../spawn-tethered.ts'
import { findRedis, startRedis } from '../start-redis.ts'

export interface RedisSentinel extends AsyncDisposable {
  /** `redis+sentinel://`, the sentinels, separated by commas, and the name of the master. */
  readonly url: string
  /** A master and a replica, in this order at the start. */
  readonly servers: BackingService[]
  readonly sentinels: BackingService[]
  /** Resolves to the master when all sentinels agree. A killed or frozen master is replaced after a second. */
  master(): Promise<BackingService>
  /** Lets the sentinels swap master and replica in an orderly way. Resolves when all name the other one. */
  failover(): Promise<void>
}

const WATCHED = 'nonstick'

/** Starts a real Redis with a replica and three sentinels on loopback. Undefined if Redis is not installed. */
export async function startRedisSentinel(): Promise<RedisSentinel | undefined> {
  const program = findRedis()
  if (!program) return undefined
  await using starting = new AsyncDisposableStack()

  const first = starting.use((await startRedis())!)
  const second = starting.use((await startRedis({ args: ['--replicaof', '127.0.0.1', portOf(first)] }))!)
  const servers = [first, second]
  const sentinels = await Promise.all(
    [1, 2, 3].map(async () => starting.use(await startSentinel(program, first))),
  )

  // A failover works only when the sentinels know all of these.
  for (const sentinel of sentinels) {
    const knowsAll = async (): Promise<boolean> => {
      const replicas = `SENTINEL REPLICAS ${WATCHED}`
      await expectAnswer(Number(portOf(sentinel)), replicas, /master-link-status\r\n\$2\r\nok/)
      await expectAnswer(Number(portOf(sentinel)), `SENTINEL CKQUORUM ${WATCHED}`, /^\+OK 3 usable/)
      return true
    }
    await pollUntil(`${sentinel.url} knows the others`, knowsAll, { deadlineMs: 30_000, everyMs: 100 })
  }

  async function named(sentinel: BackingService): Promise<string> {
    const question = `SENTINEL GET-MASTER-ADDR-BY-NAME ${WATCHED}`
    const answer = /\r\n127\.0\.0\.1\r\n\$\d+\r\n(\d+)\r\n/
    return (await expectAnswer(Number(portOf(sentinel)), question, answer))[1]!
  }

  // All sentinels are asked, because one may learn of a failover late and still name the dead master.
  async function master(): Promise<BackingService> {
    let ports: string[] = []
    await pollUntil('the sentinels name one master', async () => {
      ports = await Promise.all(sentinels.map(named))
      return new Set(ports).size === 1
    })
    return servers.find((server) => portOf(server) === ports[0])!
  }

  async function failover(): Promise<void> {
    const before = await master()
    await expectAnswer(Number(portOf(sentinels[0]!)), `SENTINEL FAILOVER ${WATCHED}`, /^\+OK/)
    await pollUntil('the sentinels name another master', async () => (await master()) !== before)
  }

  const resources = starting.move()
  return {
    url: `redis+sentinel://${sentinels.map((sentinel) => `127.0.0.1:${portOf(sentinel)}`).join(',')}/${WATCHED}`,
    servers,
    sentinels,
    master,
    failover,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** A sentinel stores its state in its configuration file, so that file is its data. */
async function startSentinel(program: string, master: BackingService): Promise<BackingService> {
  await using opening = new AsyncDisposableStack()
  const directory = opening.use(await openTemporaryFolder('sentinel')).path
  const file = join(directory, 'sentinel.conf')
  const port = await freePort()
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor ${WATCHED} 127.0.0.1 ${portOf(master)} 2`,
    `sentinel down-after-milliseconds ${WATCHED} 1000`,
    `sentinel failover-timeout ${WATCHED} 5000`,
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  return runBackingService({
    url: `redis://127.0.0.1:${port}`,
    launch: () =>
      spawnTethered(program, [file, '--sentinel'], {
        env: { PATH: process.env.PATH },
      }),
    check: async () => void (await expectAnswer(port, 'PING', /^\+PONG/)),
    resources: opening.move(),
  })
}

function portOf({ url }: BackingService): string {
  return new URL(url).port
}
