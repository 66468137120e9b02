import { cpus } from 'node:os'
import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { startMemcached } from '../../../packages/testing/src/start-memcached.ts'
import { startPostgres } from '../../../packages/testing/src/start-postgres.ts'
import { startRedis } from '../../../packages/testing/src/start-redis.ts'
import { measure, type Measurement } from './measure.ts'
import { runServer, type RunningServer } from './run-server.ts'
import { reference, variants } from './variants.ts'

const help = `pnpm bench session [--rounds 5] [--requests 5000] [--json]
pnpm bench session --behaviours [--json]

Our sessions beside their peers, in one run, interleaved: CPU microseconds per request and requests per second of a
signed-in read, a write, and a request without a session. Servers run on the first core, the load on the second.
Needs Linux (taskset), redis-server and memcached.

  --behaviours     instead: plays the thirty behaviours of packages/session on ours and on each peer, and prints
                   yes or no; about ten minutes
  --rounds N       times every server is measured; the median is printed   (default 5)
  --requests N     requests of each route in a round                       (default 5000)
  --json           ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '5000' },
    behaviours: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

if (options.behaviours) {
  const { printBehaviours } = await import('./behaviours/print.ts')
  await printBehaviours({ json: options.json })
  process.exit()
}

// The load must not take the core of what it measures.
execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)], { stdio: 'ignore' })

await using resources = new AsyncDisposableStack()
const redis = resources.use(await startRedis())
const memcached = resources.use(await startMemcached())
const postgres = resources.use(await startPostgres())
if (redis == null || memcached == null)
  throw new Error('redis-server and memcached are needed: install them first')

const stores = { redis: redis.url, memcached: memcached.url, postgres: postgres.url }
const servers: RunningServer[] = []
for (const variant of variants) servers.push(resources.use(await runServer(variant, stores)))

const measurements: Measurement[] = []
const rounds = Number(options.rounds)
// The first round warms the code up and is not counted.
for (let round = 0; round <= rounds; round++) {
  process.stderr.write(`round ${round} of ${rounds}${round === 0 ? ' (warm-up, not counted)' : ''}\n`)
  for (const server of rotate(servers, round)) {
    const measured = await measure(server, Number(options.requests))
    if (round > 0) measurements.push(...measured.map((one) => ({ ...one, round })))
  }
}

const rows = variants.map(({ name }) => summarise(name))
console.log(
  `${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}, Linux; medians of ${rounds} rounds\n`,
)
console.log(
  '| variant | read, CPU µs | ratio to hand-written (spread) | read, requests/s | write, CPU µs | no session, CPU µs |',
)
console.log('|---|---|---|---|---|---|')
for (const { name, read, readRatio, write, anonymous } of rows) {
  const ratio = `${readRatio.median.toFixed(2)} (${readRatio.min.toFixed(2)} to ${readRatio.max.toFixed(2)})`
  console.log(
    `| ${name} | ${read.cpuUs} | ${ratio} | ${read.perSecond} | ${write.cpuUs} | ${anonymous.cpuUs} |`,
  )
}
if (options.json) console.log(JSON.stringify({ rows }))

function summarise(name: string) {
  const of = (route: Measurement['route']) =>
    measurements.filter((one) => one.name === name && one.route === route)
  const median = (route: Measurement['route']) => ({
    cpuUs: Math.round(medianOf(of(route).map(({ cpuUs }) => cpuUs))),
    perSecond: Math.round(medianOf(of(route).map(({ perSecond }) => perSecond))),
  })
  // Paired within a round: the speed of a shared machine drifts, and the ratio does not.
  const ratios = of('read').map(({ cpuUs, round }) => cpuUs / referenceCpuUs(round!))
  const readRatio = { median: medianOf(ratios), min: Math.min(...ratios), max: Math.max(...ratios) }
  return { name, read: median('read'), readRatio, write: median('write'), anonymous: median('anonymous') }
}

function referenceCpuUs(round: number): number {
  return measurements.find((one) => one.name === reference && one.route === 'read' && one.round === round)!
    .cpuUs
}

function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

function rotate<T>(items: T[], by: number): T[] {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}
