import { execFile } from 'node:child_process'
import { parseArgs, promisify } from 'node:util'
import { pollUntil } from '@repo/testing/poll-until'
import { openFreshClone } from '../../fresh-clone.ts'
import { machine, medianOf } from '../figures.ts'

const help = `pnpm bench new [--rounds 5] [--json]

In a fresh clone of the last commit, with \`pnpm dev\` running: seconds from \`npx pnpm new orders --kind http\` to the
first 200 of the service through the edge, and seconds of the generator itself. Each round ends with
\`npx pnpm retire orders\` and an empty \`git status\`.

  --rounds N    number of rounds; the median and the slowest are printed (default 5)
  --json        ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

interface Round {
  generator: number
  first200: number
  retire: number
}

const NAME = 'orders'
const run = promisify(execFile)
using clone = await openFreshClone()
const dev = await clone.startDev()
const rounds: Round[] = []
for (let n = 0; n < Number(options.rounds); n++) rounds.push(await measure())
await dev.stop()

console.log(
  `${machine}\nSeconds from \`npx pnpm new orders --kind http\`, with pnpm dev running   median  slowest`,
)
print('  to its first 200 through the edge', 'first200')
print('  of which the generator itself', 'generator')
print('Seconds of `npx pnpm retire orders` itself', 'retire')
if (options.json) console.log(JSON.stringify({ machine, rounds }))

async function measure(): Promise<Round> {
  const startedAt = performance.now()
  const made = pnpm('new', NAME, '--kind', 'http')
  made.catch(() => {})
  const isThere = pollUntil('it answers 200', async () => (await statusOf(`/api/${NAME}`)) === 200, {
    deadlineMs: 120_000,
    everyMs: 10,
  })
  await Promise.race([isThere, made.then(() => isThere)])
  const first200 = (performance.now() - startedAt) / 1000
  const generator = await made

  const retire = await pnpm('retire', NAME, '--force')
  await pollUntil('it is gone', async () => (await statusOf(`/api/${NAME}`)) === 404, { deadlineMs: 120_000 })
  const { stdout } = await run('git', ['status', '--porcelain'], { cwd: clone.folder })
  if (stdout !== '') throw new Error(`Something is left over:\n${stdout}`)
  return { generator, first200, retire }
}

/** Resolves to the seconds that the command prints. @throws when it prints none */
async function pnpm(...args: string[]): Promise<number> {
  const { stdout } = await run('npx', ['pnpm', ...args], { cwd: clone.folder, env: clone.env })
  const [, seconds] = /\(([\d.]+) s\)/.exec(stdout) ?? []
  if (seconds === undefined) throw new Error(stdout)
  return Number(seconds)
}

async function statusOf(path: string): Promise<number> {
  const { status } = await fetch(`${dev.url}${path}`)
  return status
}

function print(what: string, of: keyof Round): void {
  const seconds = rounds.map((round) => round[of])
  const [median, slowest] = [medianOf(seconds), Math.max(...seconds)]
  console.log(`${what.padEnd(75)}${median.toFixed(2).padStart(6)}${slowest.toFixed(2).padStart(9)}`)
}
