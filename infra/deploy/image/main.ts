import { relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readFormation } from '../../formation.ts'
import { buildImage, findBuilder, writeBillOfMaterials } from './build-image.ts'

const help = `pnpm image [process type...]

Builds the image of each process type that is named, or of all: nonstick/<name>, with Docker, or with buildah where there is
no Docker engine. Beside it sbom/<name>.cdx.json lists what is in it.

  --build-image <name>   instead of the Node image that it is built in
  --run-image <name>     instead of the distroless image that it ends up in
`

const root = resolve(import.meta.dirname, '../../..')
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'build-image': { type: 'string' },
    'run-image': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
const { release, running } = readFormation(root)
const all = [...release, ...running]
const unknown = positionals.filter((name) => !all.some((type) => type.name === name))

if (options.help) console.log(help)
else if (unknown.length > 0) {
  console.error(
    `There is no process type ${unknown.join(', ')}. There are ${all.map(({ name }) => name).join(', ')}.`,
  )
  process.exitCode = 1
} else {
  const { 'build-image': build, 'run-image': run } = options
  const bases = build && run ? { bases: { build, run } } : {}
  const builder = await findBuilder()
  for (const type of all.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
    await buildImage(root, type, builder, bases)
    const list = await writeBillOfMaterials(root, type)
    console.log(`nonstick/${type.name}, and ${relative(process.cwd(), list)}`)
  }
}
