import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { measure } from './measure.ts'

const help = `pnpm bench queue [--jobs 5000] [--json]

graphile-worker, pg-boss, and packages/queue (which is graphile-worker with a lease), each with real worker processes on a
Postgres of its own: milliseconds from a commit to the start of its job, jobs per second, and what becomes of a job whose
worker is killed, or busy. About four minutes.

  --jobs N    jobs of the throughput rounds, in hundreds   (default 5000)
  --json      ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '5000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

const results: Record<string, Record<string, number | string>> = {}
for (const name of ['graphile-worker', 'pg-boss', 'ours']) {
  results[name] = await measure(name, Number(options.jobs))
}

console.log(`${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}\n`)
const names = Object.keys(results)
console.log(`| | ${names.join(' | ')} |\n|---|${names.map(() => '---|').join('')}`)
for (const row of Object.keys(results[names[0]!]!)) {
  console.log(`| ${row} | ${names.map((name) => results[name]![row]).join(' | ')} |`)
}
if (options.json) console.log(JSON.stringify(results))
