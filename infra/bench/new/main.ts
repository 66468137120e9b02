import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { freePort } from '@repo/testing/free-port'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'

const help = `pnpm bench new [--rounds 5] [--json]

In a fresh clone of what is committed, with \`pnpm dev\` running: seconds from \`npx pnpm new orders --kind http\` to its
first 200 through the edge, and those of the generator itself. Each round ends with \`npx pnpm retire orders\`, and with
git seeing nothing.

  --rounds N    of which the median and the slowest are printed (default 5)
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
const folder = mkdtempSync(join(tmpdir(), 'nonstick-bench-new-'))
const clone = join(folder, 'nonstick')
const port = await freePort()
const env = {
  ...process.env,
  PORT: `${port}`,
  DATABASE_URL: undefined,
  SESSION_STORE_URL: undefined,
  // pnpm tells the scripts it runs not to install anything.
  pnpm_config_verify_deps_before_run: undefined,
}

try {
  await run('git', ['clone', '--quiet', `file://${resolve(import.meta.dirname, '../../..')}`, clone])
  let said = ''
  const dev = spawnTethered('npx', ['pnpm', 'dev'], {
    cwd: clone,
    env,
    onLine: (line) => (said += `${line}\n`),
  })
  await pollUntil('pnpm dev is ready', () => /^ready in/m.test(said) || !dev.isRunning, {
    deadlineMs: 600_000,
  })
  if (!dev.isRunning) throw new Error(`pnpm dev ended:\n${said}`)

  const rounds: Round[] = []
  for (let n = 0; n < Number(options.rounds); n++) rounds.push(await measure())
  process.kill(-dev.pid, 'SIGINT')
  await dev.exited

  const machine = `${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}`
  console.log(
    `${machine}\nSeconds from \`npx pnpm new orders --kind http\`, with pnpm dev running   median  slowest`,
  )
  print('  to its first 200 through the edge', 'first200', rounds)
  print('  of which the generator itself', 'generator', rounds)
  print('Seconds of `npx pnpm retire orders` itself', 'retire', rounds)
  if (options.json) console.log(JSON.stringify({ machine, rounds }))
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
}

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
  const { stdout } = await run('git', ['status', '--porcelain'], { cwd: clone })
  if (stdout !== '') throw new Error(`Something is left over:\n${stdout}`)
  return { generator, first200, retire }
}

/** Resolves to the seconds that the command itself says it took. */
async function pnpm(...args: string[]): Promise<number> {
  const { stdout } = await run('npx', ['pnpm', ...args], { cwd: clone, env })
  const [, seconds] = /\(([\d.]+) s\)/.exec(stdout) ?? []
  if (seconds === undefined) throw new Error(stdout)
  return Number(seconds)
}

async function statusOf(path: string): Promise<number> {
  const { status } = await fetch(`http://localhost:${port}${path}`)
  return status
}

function print(what: string, of: keyof Round, rounds: readonly Round[]): void {
  const sorted = rounds.map((round) => round[of]).toSorted((a, b) => a - b)
  const [median, slowest] = [sorted[Math.floor(sorted.length / 2)]!, sorted.at(-1)!]
  console.log(`${what.padEnd(75)}${median.toFixed(2).padStart(6)}${slowest.toFixed(2).padStart(9)}`)
}
