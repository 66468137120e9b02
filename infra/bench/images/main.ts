import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { ProcessType } from '../../formation.ts'
import { build } from '../../image/build-image.ts'
import { openGround } from '../../verify/ground.ts'
import type { Unpacked } from '../../verify/open-images.ts'
import { runContainer } from '../../verify/run-container.ts'

const help = `pnpm bench images [process type...] [--json]

What an image weighs, Node and all, and how long its container takes until it is ready (the median of five starts), beside
the same apps in Dockerfiles as others write them. Needs root and what \`pnpm infra --verify\` needs.
`
const STARTS = 5
const PEERS = ['turborepo', 'pnpm'] as const

interface Row {
  processType: string
  dockerfile: string
  megabytes: number
  readyMs: number
  memoryMiB: number
}

const root = resolve(import.meta.dirname, '../../..')
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
})
if (options.help) console.log(help)
else await bench()

async function bench(): Promise<void> {
  await using ground = openGround(root)
  await ground.release()
  const types = ground.formation.running.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  )
  const rows: Row[] = []
  for (const type of types) {
    await measure(type, 'nonstick', await ground.image(type))
    for (const peer of PEERS) await measure(type, peer, await buildPeer(type, peer))
  }
  if (options.json) console.log(JSON.stringify(rows))

  async function measure(type: ProcessType, dockerfile: string, image: Unpacked): Promise<void> {
    const starts: { readyMs: number; memoryMiB: number }[] = []
    for (let n = 0; n < STARTS; n++) {
      const environment = { ...(await ground.environment(type)), DRAIN_MS: '0' }
      await using container = await runContainer(image, environment)
      starts.push({ readyMs: await container.readyAfterMs, ...(await container.usage()) })
      await container.stop()
    }
    const { readyMs, memoryMiB } = starts.toSorted((a, b) => a.readyMs - b.readyMs)[STARTS >> 1]!
    const row: Row = {
      processType: type.name,
      dockerfile,
      megabytes: Math.round(image.bytes / 1e6),
      readyMs: Math.round(readyMs),
      memoryMiB,
    }
    rows.push(row)
    if (!options.json) {
      console.log(
        `${type.name.padEnd(18)} ${dockerfile.padEnd(10)} ${row.megabytes} MB, ready in ${row.readyMs} ms, ${memoryMiB} MiB`,
      )
    }
  }

  async function buildPeer({ name, app }: ProcessType, target: string): Promise<Unpacked> {
    const { builder, bases, unpack } = await ground.images()
    const tag = `nonstick-${target}/${name}`
    const values = { APP: app, PROCESS: name, BUILD_IMAGE: bases.build }
    await build(builder, join(import.meta.dirname, 'Dockerfile'), root, { tag, target, values })
    return await unpack(`localhost/${tag}`)
  }
}
