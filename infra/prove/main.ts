import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { programs } from '@repo/testing/programs'
import { forgetPostgresVariables } from '../environment.ts'
import { attacks } from './attacks.ts'
import type { Attack } from './attack.ts'
import { openDeployment, type Deployment } from './deployment/open-deployment.ts'
import { listFaults } from './list-faults.ts'
import { printRow, printSummary, renderLine } from './print.ts'
import { runAttack, type RowResult, type RunOptions } from './run-attack.ts'

const HELP = `pnpm prove [row...] [--quick] [--seed N] [--rate N] [--each N] [--faults] [--json] [--list] [--help]

Attacks the whole formation on servers and ports of its own: real processes behind a real HAProxy, real stores, load
on loopback, everything counted. Writes a second-by-second record to prove.json. Exits with 0 only when every requested
row holds. A row that did not run counts as a row that does not hold.

  row        only these rows; --list prints all of them, with what is done and what must hold
  --quick    the short forms of ${quickRows().join(', ')}, in about 90 s
  --seed N   repeats the random choices of an earlier run
  --rate N   requests per second (default 60)
  --each N   processes of each type (default 2)
  --faults   runs each row with each of its planted faults (faults/ in infra/prove, test/prove of apps): the row must break
  --json     prints one line of JSON: the verdict of each row

Linux only. Debian's packages, and the rows that need them: ${listPackages()}
`

const ROOT = join(import.meta.dirname, '../..')
const { values: options, positionals } = readArguments()
if (options.help) {
  console.log(HELP)
  process.exit()
}
if (options.list) {
  for (const attack of attacks) console.log(renderLine(attack))
  process.exit()
}

forgetPostgresVariables()
const seed = readNumber('seed', `${Date.now() % 1_000_000}`)
const each = readNumber('each', '2')
const run: Omit<RunOptions, 'openShared'> = {
  seed,
  isQuick: options.quick,
  load: { rate: readNumber('rate', '60'), people: 8 },
  deployment: { each },
}
const rows = chooseRows()
// Every process that we started is tethered to this one: when this process exits, they stop.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))

console.log(`seed ${seed}, ${each} processes of each type, ${run.load.rate} requests a second`)
const results = options.faults ? await findFaults() : await proveRows()
printSummary(results, seed)
// A row must hold. With a planted fault it must be broken.
const passed = results.filter(({ verdict }) => verdict === (options.faults ? 'broken' : 'holds')).length
const skipped = results.filter(({ verdict }) => verdict === 'not run').length
const failed = results.length - passed - skipped
const isProved = passed === results.length
await writeFile(
  join(ROOT, 'prove.json'),
  `${JSON.stringify({ seed, isQuick: options.quick, each, ...run.load, isProved, rows: results }, null, 2)}\n`,
)
if (options.json)
  console.log(JSON.stringify(Object.fromEntries(results.map(({ row, verdict }) => [row, verdict]))))
console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`)
process.exit(isProved ? 0 : 1)

/** Runs all chosen rows. Rows that do not open a deployment of their own share one. */
async function proveRows(): Promise<RowResult[]> {
  await using resources = new AsyncDisposableStack()
  let shared: Promise<Deployment> | undefined
  const openShared = (): Promise<Deployment> =>
    (shared ??= openDeployment(run.deployment).then((deployment) => resources.use(deployment)))
  const results: RowResult[] = []
  for (const attack of rows) {
    const result = await runAttack(attack, { ...run, openShared })
    results.push(result)
    printRow(result)
  }
  return results
}

/** Runs each row once per planted fault, each time on a new deployment. */
async function findFaults(): Promise<RowResult[]> {
  const results: RowResult[] = []
  for (const attack of rows) {
    const faults = listFaults(attack.name)
    if (faults.length === 0) console.log(`\nNo fault is planted for ${attack.name}`)
    for (const { name, url } of faults) {
      await using resources = new AsyncDisposableStack()
      const deployment = { ...run.deployment, preloads: [url] }
      const openShared = async (): Promise<Deployment> => resources.use(await openDeployment(deployment))
      const result = await runAttack(
        { ...attack, does: `${attack.does}, with ${name} planted` },
        { ...run, deployment, openShared },
      )
      results.push({ ...result, row: `${attack.name}/${name}` })
      printRow(result)
    }
  }
  return results
}

function chooseRows(): readonly Attack[] {
  const unknown = positionals.filter((name) => !attacks.some((attack) => attack.name === name))
  if (unknown.length > 0)
    fail(`There is no row ${unknown.join(', ')}. There are ${attacks.map(({ name }) => name).join(', ')}.`)
  if (positionals.length > 0) return attacks.filter(({ name }) => positionals.includes(name))
  return options.quick ? attacks.filter(({ isQuick }) => isQuick) : attacks
}

function listPackages(): string {
  const rows = new Map<string, string[]>()
  for (const { name, needs = [], library } of attacks) {
    for (const apt of [...needs.map((one) => programs[one].apt), ...(library ? [library.apt] : [])])
      rows.set(apt, [...(rows.get(apt) ?? []), name])
  }
  const said = [...rows].map(([apt, names]) =>
    names.length === attacks.length ? `${apt} (all)` : `${apt} (${names.join(', ')})`,
  )
  return said.join(', ')
}

function quickRows(): string[] {
  return attacks.filter(({ isQuick }) => isQuick).map(({ name }) => name)
}

function readArguments() {
  const flag = { type: 'boolean', default: false } as const
  const number = { type: 'string' } as const
  const flags = {
    quick: flag,
    faults: flag,
    json: flag,
    list: flag,
    help: flag,
    seed: number,
    rate: number,
    each: number,
  }
  try {
    return parseArgs({ allowPositionals: true, options: flags })
  } catch (error) {
    return fail((error as Error).message)
  }
}

function readNumber(name: 'seed' | 'rate' | 'each', usual: string): number {
  const text = options[name] ?? usual
  if (!/^\d{1,9}$/.test(text)) fail(`--${name} ${text}: expected a whole number`)
  return Number(text)
}

function fail(sentence: string): never {
  console.error(`${sentence}\n\n${HELP}`)
  process.exit(1)
}
