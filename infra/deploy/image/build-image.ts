import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram } from '@repo/testing/programs'
import type { ProcessType } from '../../formation.ts'

const run = promisify(execFile)

/** The program that builds images, and its environment, which says where its images are. */
export interface Builder {
  program: 'docker' | 'buildah'
  env: NodeJS.ProcessEnv
  /** Shows the output of the program only when it fails. */
  isQuiet?: boolean
}

/** Images to use instead of the public base images of the Dockerfile. */
export interface Bases {
  build: string
  run: string
}

/**
 * Docker when its engine answers, otherwise buildah, which needs no engine.
 *
 * @throws when this machine has neither
 */
export async function findBuilder(): Promise<Builder> {
  const answers = await run('docker', ['version', '--format', '{{.Server.Version}}']).then(
    () => true,
    () => false,
  )
  if (answers) return { program: 'docker', env: process.env }
  if (findProgram('buildah')) return buildah()
  throw new Error('There is neither a Docker engine nor buildah on this machine')
}

/** buildah, configured so that it also works in a container. `env` is added to our environment. */
export function buildah(env: Record<string, string> = {}): Builder {
  return {
    program: 'buildah',
    env: { ...process.env, STORAGE_DRIVER: 'overlay', BUILDAH_ISOLATION: 'chroot', ...env },
  }
}

/**
 * Builds the image of a process type.
 *
 * @param bases the base images; default: those that the Dockerfile names
 * @param tag default: `nonstick/<name>`
 * @throws when the build fails. The output of the build is on stderr, or in the message when the builder is quiet
 */
export async function buildImage(
  root: string,
  { name, app }: ProcessType,
  builder: Builder,
  { bases, tag = `nonstick/${name}` }: { bases?: Bases; tag?: string } = {},
): Promise<void> {
  const { stdout: revision } = await run('git', ['rev-parse', 'HEAD'], { cwd: root })
  const values = {
    APP: app,
    PROCESS: name,
    REVISION: revision.trim(),
    ...(bases && { BUILD_IMAGE: bases.build, RUN_IMAGE: bases.run }),
  }
  await build(builder, join(root, 'infra/deploy/image/Dockerfile'), root, { tag, values })
}

/** Builds a Dockerfile, reproducibly: no file and no layer contains the time of the build. @throws as `buildImage` */
export async function build(
  { program, env, isQuiet }: Builder,
  file: string,
  context: string,
  { tag, values = {}, target }: { tag: string; values?: Record<string, string>; target?: string },
): Promise<void> {
  const args = [
    'build',
    // The OCI format has no health checks. Docker reads the time from SOURCE_DATE_EPOCH instead.
    ...(program === 'buildah' ? ['--layers', '--force-rm', '--format=docker', '--timestamp=0'] : []),
    ...Object.entries(values).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...(target ? [`--target=${target}`] : []),
    `--file=${file}`,
    `--tag=${tag}`,
    context,
  ]
  const child = spawn(program, args, {
    env: { ...env, SOURCE_DATE_EPOCH: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said.push(chunk)
      // Progress, so stderr.
      if (!isQuiet) process.stderr.write(chunk)
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return
  const output = isQuiet ? `:\n${Buffer.concat(said).toString()}` : ''
  throw new Error(`${program} could not build ${tag}${output}`)
}

/**
 * Writes the bill of materials of an image, from the lockfile: `sbom/<name>.cdx.json`, a CycloneDX document.
 *
 * @returns its path
 */
export async function writeBillOfMaterials(root: string, { name, app }: ProcessType): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, app, 'package.json'), 'utf8')) as { name: string }
  const file = join(root, 'sbom', `${name}.cdx.json`)
  await mkdir(join(root, 'sbom'), { recursive: true })
  await run(
    'pnpm',
    [
      'sbom',
      `--filter=${manifest.name}`,
      '--sbom-format=cyclonedx',
      '--lockfile-only',
      '--prod',
      `--out=${file}`,
    ],
    { cwd: root },
  )
  return file
}
