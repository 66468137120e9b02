import { expectAnswer, type BackingService } from '../backing-service.ts'
import { freePort } from '../ports.ts'
import { pollUntil } from '../poll-until.ts'
import { findRedis, startRedis } from '../start-redis.ts'

export interface RedisCluster extends AsyncDisposable {
  /** `redis+cluster://` and the masters, separated by commas. */
  readonly url: string
  /** Each holds a third of the keys. */
  readonly masters: BackingService[]
  /** With `withReplicas` one for each master, in the same order. It takes over when its master is away for two seconds. */
  readonly replicas: BackingService[]
}

const MASTERS = 3
const SLOTS = 16_384

/** Starts a real Redis Cluster of three masters on loopback. Undefined if Redis is not installed. */
export async function startRedisCluster({ withReplicas = false } = {}): Promise<RedisCluster | undefined> {
  if (!findRedis()) return undefined
  await using starting = new AsyncDisposableStack()

  async function startNode(): Promise<BackingService> {
    // The default bus port is the port plus 10,000, which may be in use.
    const busPort = ['--cluster-port', `${await freePort()}`]
    const redis = await startRedis({
      args: ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000', ...busPort],
    })
    return starting.use(redis!)
  }

  const nodes = await Promise.all(Array.from({ length: withReplicas ? MASTERS * 2 : MASTERS }, startNode))
  const masters = nodes.slice(0, MASTERS)
  const replicas = nodes.slice(MASTERS)

  for (const [i, node] of masters.entries()) {
    const [first, last] = [i, i + 1].map((third) => Math.floor((SLOTS * third) / MASTERS))
    await expectAnswer(portOf(node), `CLUSTER ADDSLOTSRANGE ${first} ${last! - 1}`, /^\+OK/)
  }
  const [seed, ...others] = nodes
  for (const node of others) {
    const busPort = (
      await expectAnswer(portOf(node), 'CONFIG GET cluster-port', /cluster-port\r\n\$\d+\r\n(\d+)/)
    )[1]
    await expectAnswer(portOf(seed!), `CLUSTER MEET 127.0.0.1 ${portOf(node)} ${busPort}`, /^\+OK/)
  }
  await everyNode('knows every other', 'CLUSTER INFO', new RegExp(`cluster_known_nodes:${nodes.length}\\r`))
  for (const [i, node] of replicas.entries()) {
    const [, id] = await expectAnswer(portOf(masters[i]!), 'CLUSTER MYID', /^\$40\r\n(\w{40})/)
    await expectAnswer(portOf(node), `CLUSTER REPLICATE ${id}`, /^\+OK/)
  }
  await everyNode('sees the cluster whole', 'CLUSTER INFO', /cluster_state:ok/)
  for (const node of replicas) {
    await pollUntil('the replica follows', async () =>
      Boolean(await expectAnswer(portOf(node), 'INFO replication', /master_link_status:up/)),
    )
  }

  async function everyNode(claim: string, command: string, expected: RegExp): Promise<void> {
    for (const node of nodes) {
      const isSo = async (): Promise<boolean> => Boolean(await expectAnswer(portOf(node), command, expected))
      await pollUntil(`${node.url} ${claim}`, isSo, { deadlineMs: 20_000 })
    }
  }

  const resources = starting.move()
  return {
    url: `redis+cluster://${masters.map((node) => `127.0.0.1:${portOf(node)}`).join(',')}`,
    masters,
    replicas,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function portOf({ url }: BackingService): number {
  return Number(new URL(url).port)
}
