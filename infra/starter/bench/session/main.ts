import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { findProgram } from '@repo/testing/programs'
import { machine } from '../figures.ts'
import { writeTables } from '../write-tables.ts'

const help = `pnpm bench session [--speed] [--growth] [--behaviours] [--all] [--write] [--json]

Compares our sessions with their peers. Servers run on the first core, the load on the second; everything is interleaved,
and medians are printed. Needs Linux (taskset), redis-server and memcached.

  --speed          CPU microseconds per request and requests per second of a signed-in read, a write and a request without
                   a session: ours on each store, and its peers. The default; about 5 minutes
  --growth         the same for ours with 1,000 and with 1,000,000 sessions in each store, and with 1, 2, 4 and 8
                   processes, and the memory of a process; about 10 minutes, 5 GB of memory
  --behaviours     runs the thirty behaviours of packages/session on ours and on each peer: yes or no; about 12 minutes
  --all            all three
  --write          writes the tables into the README.md beside this file, with machine and date
  --rounds N       rounds of each measurement                     (default 5)
  --requests N     requests of each route and process in a round  (default 10000)
  --json           ends with one line of JSON that holds every figure
`

const flag = { type: 'boolean', default: false } as const
const { values: options } = parseArgs({
  options: {
    speed: flag,
    growth: flag,
    behaviours: flag,
    all: flag,
    write: flag,
    rounds: { type: 'string', default: '5' },
    requests: { type: 'string', default: '10000' },
    json: flag,
    help: flag,
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}
for (const program of ['taskset', 'redis-server', 'memcached']) {
  if (!findProgram(program)) throw new Error(`${program} is needed: install it first`)
}

const [rounds, requests] = [Number(options.rounds), Number(options.requests)]
const date = new Date().toISOString().slice(0, 10)
const results: Record<string, unknown> = { machine, date }
const tables: { name: string; lines: string[] }[] = []

// First, before this process is pinned to one core: the behaviours run on many processes at once.
if (options.behaviours || options.all) {
  const { compareBehaviours, tableOfBehaviours } = await import('./behaviours/compare.ts')
  const behaviours = await compareBehaviours()
  add('behaviours', behaviours, tableOfBehaviours(behaviours))
}
// The load must not run on the core of the servers.
execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)], { stdio: 'ignore' })
if (options.speed || options.all || !(options.growth || options.behaviours)) {
  const { measureSpeed, tableOfSpeed } = await import('./speed.ts')
  const speed = await measureSpeed(rounds, requests)
  add('speed', speed, tableOfSpeed(speed))
}
if (options.growth || options.all) {
  const { measureGrowth, tableOfGrowth } = await import('./growth.ts')
  const growth = await measureGrowth(rounds, requests)
  add('growth', growth, tableOfGrowth(growth))
}
if (options.write) {
  writeTables('infra/starter/bench/session/README.md', tables)
}
if (options.json) console.log(JSON.stringify(results))
process.exit()

function add(name: string, figures: unknown, table: string[]): void {
  const measured = name === 'behaviours' ? '' : `; medians of ${rounds} rounds of ${requests} requests`
  const lines = [...table, '', `${machine}; ${date}${measured}.`]
  results[name] = figures
  tables.push({ name, lines })
  console.log(`${lines.join('\n')}\n`)
}
