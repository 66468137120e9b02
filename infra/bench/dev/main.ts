import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort } from '@repo/testing/free-port'
import { isListening } from '@repo/testing/is-listening'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered, type TetheredProcess } from '@repo/testing/spawn-tethered'

const help = `pnpm bench dev [--rounds 5] [--download] [--json]

In a fresh clone of what is committed: seconds from \`npx pnpm dev\` to ready, cold (no node_modules) and warm, and
milliseconds from saving a file to the new code answering through the edge.

  --rounds N    starts and edits whose median is printed (default 5)
  --download    cold with an empty package store too, so that everything is downloaded
  --json        ends with one line of JSON
`

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    download: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

interface Dev {
  url: string
  secondsToReady: number
  said(): string
  stop(): Promise<void>
}

const given = {
  ...process.env,
  DATABASE_URL: undefined,
  SESSION_STORE_URL: undefined,
  // pnpm tells the scripts it runs not to install anything.
  pnpm_config_verify_deps_before_run: undefined,
}

const rounds = Array.from({ length: Number(options.rounds) }, (_, i) => i + 1)
const folder = mkdtempSync(join(tmpdir(), 'nonstick-bench-dev-'))
const clone = join(folder, 'nonstick')
const port = await freePort()
try {
  const cold = options.download ? { download: await coldSeconds(join(folder, 'store')) } : {}
  const seconds = { ...cold, cold: await coldSeconds(), warm: await warmSeconds() }
  const milliseconds = await editMilliseconds()
  const machine = `${cpus()[0]!.model.trim()}, ${cpus().length} cores, Node ${process.version}`
  console.log(machine)
  console.log('Seconds from `npx pnpm dev` to ready')
  if (seconds.download) console.log(`  cold, everything downloaded        ${seconds.download.toFixed(1)}`)
  console.log(`  cold, from pnpm's store            ${seconds.cold.toFixed(1)}`)
  console.log(`  warm                               ${seconds.warm.toFixed(1)}`)
  console.log('Milliseconds from saving a file')
  console.log(`  of an app, to the first new answer ${milliseconds.firstAnswer}`)
  console.log(`  until all its processes run it     ${milliseconds.allAnswers}`)
  console.log(`  of a package that all import,`)
  console.log(`  until all processes of all run it  ${milliseconds.everybody}`)
  if (options.json) console.log(JSON.stringify({ machine, seconds, milliseconds }))
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function coldSeconds(store?: string): Promise<number> {
  rmSync(clone, { recursive: true, force: true })
  execFileSync('git', ['clone', '--quiet', `file://${resolve(import.meta.dirname, '../../..')}`, clone])
  const dev = await startDev(store ? { pnpm_config_store_dir: store } : {})
  await dev.stop()
  return dev.secondsToReady
}

async function warmSeconds(): Promise<number> {
  const seconds: number[] = []
  for (const _ of rounds) {
    const dev = await startDev()
    await dev.stop()
    seconds.push(dev.secondsToReady)
  }
  return median(seconds)
}

async function editMilliseconds(): Promise<Record<'firstAnswer' | 'allAnswers' | 'everybody', number>> {
  const dev = await startDev()
  const first: number[] = []
  const all: number[] = []
  const everybody: number[] = []
  for (const round of rounds) {
    const startedAt = performance.now()
    editAnswer(round)
    const answers = new Set<string>()
    while (answers.size < 2) {
      // Not in a tight loop, which would take a core of its own.
      await sleep(10)
      const response = await fetch(`${dev.url}/api/accounts/edit`)
      const body = (await response.json()) as { round?: number }
      if (body.round !== round) continue
      if (answers.size === 0) first.push(performance.now() - startedAt)
      answers.add(response.headers.get('x-process')!)
    }
    all.push(performance.now() - startedAt)
    await pollUntil('the restart is over', () => count(dev.said(), /app\.ts: restarted/g) === round)
  }
  for (const round of rounds) {
    const startedAt = performance.now()
    writeFileSync(join(clone, 'packages/config/src/index.ts'), `${readConfig()}// ${round}\n`)
    const isOver = (): boolean => count(dev.said(), /index\.ts: restarted/g) === round
    await pollUntil('everybody has restarted', isOver, { deadlineMs: 60_000 })
    everybody.push(performance.now() - startedAt)
  }
  await dev.stop()
  return { firstAnswer: median(first), allAnswers: median(all), everybody: median(everybody) }
}

/** Gives the accounts service a route of its own, that answers with this number. */
function editAnswer(round: number): void {
  const file = join(clone, 'apps/accounts/src/app.ts')
  const route = `  app.get('/api/accounts/edit', { config: { access: 'public' } }, () => ({ round: ${round} }))\n`
  const source = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    source.replace(/ {2}app\.get\('\/api\/accounts\/edit.*\n|(?=\n? {2}return app\n)/, route),
  )
}

function readConfig(): string {
  return readFileSync(join(clone, 'packages/config/src/index.ts'), 'utf8')
}

async function startDev(env: Record<string, string> = {}): Promise<Dev> {
  let said = ''
  const startedAt = performance.now()
  const npx: TetheredProcess = spawnTethered('npx', ['pnpm', 'dev'], {
    cwd: clone,
    env: { ...given, ...env, PORT: `${port}` },
    onLine: (line) => (said += `${line}\n`),
  })
  const isReady = (): boolean => /^ready in/m.test(said) || !npx.isRunning
  await pollUntil('pnpm dev is ready', isReady, { deadlineMs: 600_000, everyMs: 5 })
  if (!npx.isRunning) throw new Error(`pnpm dev ended:\n${said}`)
  const secondsToReady = (performance.now() - startedAt) / 1000
  return {
    url: `http://localhost:${port}`,
    secondsToReady,
    said: () => said,
    async stop() {
      process.kill(-npx.pid, 'SIGINT')
      await npx.exited
      await pollUntil('its port is free', async () => !(await isListening(`http://127.0.0.1:${port}`)))
    },
  }
}

function count(text: string, what: RegExp): number {
  return text.match(what)?.length ?? 0
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]!
  return middle > 100 ? Math.round(middle) : middle
}
