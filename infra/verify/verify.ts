import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readFormation, type Formation, type ProcessType } from '../formation.ts'
import { buildImage } from '../image/build-image.ts'
import { openBases, unpack, type Unpacked } from './open-bases.ts'
import { rollingRestarts } from './rolling-restarts.ts'
import { runChecks, type Check } from './run-checks.ts'
import { containerEnvironment, imageProblems, openStores, verifyRelease, verifyRun } from './verify-image.ts'
import { verifyProcfile } from './verify-procfile.ts'

/**
 * Everything of a deployment that can be done for real without an engine, by people's own programs: buildah, bwrap,
 * HAProxy, foreman. Needs root.
 *
 * @param words of the names of the checks to run; all of them when there is none
 * @returns whether all passed
 */
export async function verify(root: string, words: readonly string[]): Promise<boolean> {
  await using resources = new AsyncDisposableStack()
  return await runChecks(selected(listChecks(root, readFormation(root), resources), words))
}

async function* selected(checks: AsyncIterable<Check>, words: readonly string[]): AsyncIterable<Check> {
  for await (const check of checks) {
    if (check.isNeeded || words.length === 0 || words.some((word) => check.name.includes(word))) yield check
  }
}

async function* listChecks(
  root: string,
  formation: Formation,
  resources: AsyncDisposableStack,
): AsyncIterable<Check> {
  const bases = await openBases(root)
  const stores = resources.use(await openStores())
  const images = new Map<ProcessType, Unpacked>()
  const imageOf = (type: ProcessType): Unpacked => {
    const image = images.get(type)
    if (!image) throw new Error('its image was not built')
    return image
  }
  const envOf = (type: ProcessType): Record<string, string> => containerEnvironment(type, formation, stores)

  for (const type of [...formation.release, ...formation.running]) {
    yield {
      name: `${type.name} is built by infra/docker/Dockerfile, and is as an image is to be`,
      isNeeded: true,
      async run() {
        await buildImage(root, type, 'buildah', { bases })
        const image = resources.use(await unpack(`localhost/nonstick/${type.name}`))
        images.set(type, image)
        const problems = imageProblems(image, type)
        if (problems.length > 0) throw new Error(problems.join('\n'))
        return `${(image.bytes / 1e6).toFixed(0)} MB`
      },
    }
  }
  for (const type of formation.release) {
    yield {
      name: `${type.name} releases, and changes nothing when it is repeated`,
      isNeeded: true,
      run: () => verifyRelease(imageOf(type), envOf(type)),
    }
  }
  for (const type of formation.running) {
    yield {
      name: `${type.name} runs as Kubernetes would run it`,
      run: () => verifyRun(imageOf(type), envOf(type)),
    }
  }
  for (const type of formation.running.filter(({ route }) => route)) {
    for (const layer of ['http', 'tcp'] as const) {
      yield {
        name: `${type.name} loses no request while its processes are restarted behind HAProxy (${layer})`,
        run: () => rollingRestarts(imageOf(type), envOf(type), { type, layer }),
      }
    }
  }
  yield {
    name: 'infra/compose.yaml is understood by docker-compose',
    async run() {
      const file = join(root, 'infra/compose.yaml')
      const { stdout } = await promisify(execFile)('docker-compose', ['-f', file, 'config', '--services'])
      return stdout.trim().split('\n').join(', ')
    },
  }
  yield {
    name: 'the Procfile is run by foreman, two processes of each type',
    run: () => verifyProcfile(root, formation, stores),
  }
}
