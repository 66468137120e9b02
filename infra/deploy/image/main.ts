import { relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { readFormation } from '../../formation.ts'
import { buildImage, findBuilder, writeBillOfMaterials } from './build-image.ts'

const help = `pnpm image [process type...]

Builds the image nonstick/<name> of each given process type, or of all, with Docker, or with buildah when there is no Docker
engine. Also writes its bill of materials: sbom/<name>.cdx.json.

  --build-image <name>   instead of the Node image of the build stage
  --run-image <name>     instead of the distroless image of the last stage; both must be given
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
