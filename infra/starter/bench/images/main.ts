import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from '../../../deploy/image/build-image.ts'
import type { ProcessType } from '../../../formation.ts'
import { openGround } from '../../verify/ground.ts'
import type { Unpacked } from '../../verify/open-images.ts'
import { runContainer } from '../../verify/run-container.ts'
import { machine, medianOf } from '../figures.ts'
import { writeTables } from '../write-tables.ts'

const help = `pnpm bench images [process type...] [--rounds 5] [--write] [--json]

The size of each image including Node, the time until its container is ready, and its memory then, compared with the same
apps in two public Dockerfiles. All use the same Debian. Needs root and the programs of \`pnpm verify\`. The first run takes
about 5 minutes.

  --rounds N  starts of each image, in turn; the medians are printed (default 5)
  --write     writes the table into README.md
  --json      ends with one line of JSON
`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (options.help) {
  console.log(help)
  process.exit()
}

/** Keys are the targets of the Dockerfile in this folder. */
const PEERS = {
  turborepo: "Turborepo's [with-docker](https://github.com/vercel/turborepo/tree/main/examples/with-docker)",
  pnpm: "[pnpm's Docker page](https://pnpm.io/docker)",
}

interface Subject {
  processType: string
  dockerfile: string
  image: Unpacked
  readyMs: number[]
  memoryMiB: number[]
}

const root = resolve(import.meta.dirname, '../../../..')
await using ground = openGround(root)
const types = ground.formation.running.filter(
  ({ name }) => positionals.length === 0 || positionals.includes(name),
)
if (types.length === 0) throw new Error(`There is no process type ${positionals.join(', ')}`)
await ground.release()
const subjects: Subject[] = []
for (const type of types) {
  add(type, 'Nonstick', await ground.image(type))
  for (const [target, name] of Object.entries(PEERS)) add(type, name, await buildPeer(type, target))
}
for (let round = 1; round <= Number(options.rounds); round++) {
  process.stderr.write(`round ${round} of ${options.rounds}\n`)
  for (const type of types) {
    const environment = { ...(await ground.environment(type)), DRAIN_MS: '0' }
    for (const subject of subjects.filter(({ processType }) => processType === type.name)) {
      await using container = await runContainer(subject.image, environment, type)
      subject.readyMs.push(await container.readyAfterMs)
      subject.memoryMiB.push((await container.usage()).memoryMiB)
      await container.stop()
    }
  }
}

const rows = subjects.map(({ processType, dockerfile, image, readyMs, memoryMiB }) => ({
  processType,
  dockerfile,
  megabytes: Math.round(image.bytes / 1e6),
  readyMs: Math.round(medianOf(readyMs)),
  memoryMiB: Math.round(medianOf(memoryMiB)),
}))
const lines = [
  '| image | Dockerfile | MB | ready after, ms | memory then, MiB |',
  '|---|---|---:|---:|---:|',
  ...rows.map((row) => `| ${Object.values(row).join(' | ')} |`),
  '',
  `${machine}; ${new Date().toISOString().slice(0, 10)}; medians of ${options.rounds} starts.`,
]
console.log(lines.join('\n'))
if (options.write) writeTables('README.md', [{ name: 'images', lines }])
if (options.json) console.log(JSON.stringify({ machine, rows }))

function add({ name }: ProcessType, dockerfile: string, image: Unpacked): void {
  subjects.push({ processType: name, dockerfile, image, readyMs: [], memoryMiB: [] })
}

async function buildPeer({ name, app }: ProcessType, target: string): Promise<Unpacked> {
  const { builder, bases, unpack } = await ground.images()
  const tag = `nonstick-${target}/${name}`
  const values = { APP: app, PROCESS: name, BUILD_IMAGE: bases.build }
  await build(builder, join(import.meta.dirname, 'Dockerfile'), root, { tag, target, values })
  return await unpack(`localhost/${tag}`)
}
