import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { pollUntil } from '@repo/testing/poll-until'
import { openFreshClone, type FreshClone } from '../../fresh-clone.ts'
import { machine, medianOf } from '../figures.ts'

const help = `pnpm bench dev [--rounds 5] [--download] [--json]

In a fresh clone of the last commit: seconds from \`npx pnpm dev\` to ready, cold (no node_modules) and warm, and
milliseconds from saving a file to the first answer of the new code through the edge.

  --rounds N    number of starts and edits; their median is printed (default 5)
  --download    also measures cold with an empty package store, so that everything is downloaded
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

const rounds = Array.from({ length: Number(options.rounds) }, (_, i) => i + 1)
const download = options.download ? await measureDownload() : undefined
using clone = await openFreshClone()
const seconds = { download, cold: await secondsToReady(clone), warm: await measureWarm() }
const milliseconds = await measureEdits()

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

async function secondsToReady(of: FreshClone, env?: Record<string, string>): Promise<number> {
  const dev = await of.startDev(env)
  await dev.stop()
  return dev.secondsToReady
}

async function measureDownload(): Promise<number> {
  using clone = await openFreshClone()
  return await secondsToReady(clone, { pnpm_config_store_dir: join(clone.folder, '../store') })
}

async function measureWarm(): Promise<number> {
  const seconds: number[] = []
  for (const _ of rounds) seconds.push(await secondsToReady(clone))
  return medianOf(seconds)
}

async function measureEdits(): Promise<Record<'firstAnswer' | 'allAnswers' | 'everybody', number>> {
  const dev = await clone.startDev()
  const first: number[] = []
  const all: number[] = []
  const everybody: number[] = []
  for (const round of rounds) {
    const startedAt = performance.now()
    editAnswer(round)
    const answers = new Set<string>()
    while (answers.size < 2) {
      // A tight loop would take a whole core.
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
    writeFileSync(join(clone.folder, 'packages/config/src/index.ts'), `${readConfig()}// ${round}\n`)
    const isOver = (): boolean => count(dev.said(), /index\.ts: restarted/g) === round
    await pollUntil('everybody has restarted', isOver, { deadlineMs: 60_000 })
    everybody.push(performance.now() - startedAt)
  }
  await dev.stop()
  const [firstAnswer, allAnswers, byAll] = [first, all, everybody].map((times) => Math.round(medianOf(times)))
  return { firstAnswer: firstAnswer!, allAnswers: allAnswers!, everybody: byAll! }
}

/** Adds a route to the accounts service that answers with this number, or changes its number. */
function editAnswer(round: number): void {
  const file = join(clone.folder, 'apps/accounts/src/app.ts')
  const route = `  app.get('/api/accounts/edit', { config: { access: 'public' } }, () => ({ round: ${round} }))\n`
  const source = readFileSync(file, 'utf8')
  writeFileSync(
    file,
    source.replace(/ {2}app\.get\('\/api\/accounts\/edit.*\n|(?=\n? {2}return app\n)/, route),
  )
}

function readConfig(): string {
  return readFileSync(join(clone.folder, 'packages/config/src/index.ts'), 'utf8')
}

function count(text: string, what: RegExp): number {
  return text.match(what)?.length ?? 0
}
