import { parseArgs } from 'node:util'
import { machine, medianOf } from '../figures.ts'
import {
  measureBusy,
  measureKill,
  measureLatency,
  measureThroughput,
  openBench,
  type Figures,
} from './measure.ts'

const help = `pnpm bench queue [--rounds 3] [--jobs 5000] [--json]

graphile-worker, pg-boss, and packages/queue (which is graphile-worker with a lease), each with real worker processes on a
Postgres of its own: milliseconds from a commit to the start of its job, jobs per second, and what happens to a job whose
worker is killed or busy. Rounds are interleaved; medians are printed. About five minutes.

  --rounds N  rounds of latency and throughput             (default 3)
  --jobs N    jobs of a throughput round, a multiple of 100 (default 5000)
  --json      ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    jobs: { type: 'string', default: '5000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

await using resources = new AsyncDisposableStack()
const names = ['graphile-worker', 'pg-boss', 'ours']
const benches = []
for (const name of names) benches.push(resources.use(await openBench(name)))

const rounds: Record<string, Figures[]> = Object.fromEntries(names.map((name) => [name, []]))
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const bench of benches) {
    process.stderr.write(`round ${round}: ${bench.name}\n`)
    const latency = await measureLatency(bench)
    rounds[bench.name]!.push({ ...latency, ...(await measureThroughput(bench, Number(options.jobs))) })
  }
}

const results: Record<string, Figures> = {}
for (const name of names) {
  results[name] = medians(rounds[name]!)
  // A queue of its own for each: the job of a killed worker is retried, and would keep another worker busy.
  for (const part of [measureKill, measureBusy]) {
    process.stderr.write(`${part.name}: ${name}\n`)
    await using bench = await openBench(name)
    Object.assign(results[name], await part(bench))
  }
}

console.log(`${machine}\n`)
console.log(`| | ${names.join(' | ')} |\n|---|${names.map(() => '---|').join('')}`)
for (const row of Object.keys(results[names[0]!]!)) {
  console.log(`| ${row} | ${names.map((name) => results[name]![row]).join(' | ')} |`)
}
if (options.json) console.log(JSON.stringify(results))

function medians(rounds: Figures[]): Figures {
  const median = (row: string): number => medianOf(rounds.map((figures) => Number(figures[row])))
  return Object.fromEntries(Object.keys(rounds[0]!).map((row) => [row, median(row)]))
}
