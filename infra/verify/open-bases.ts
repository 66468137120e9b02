import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, rm } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build, buildahEnvironment, type Bases } from '../image/build-image.ts'

const run = promisify(execFile)
const buildah = (...args: string[]): Promise<{ stdout: string }> =>
  run('buildah', args, { env: buildahEnvironment })

const BASES: Bases = { build: 'localhost/nonstick-build-base', run: 'localhost/nonstick-run-base' }
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/**
 * Stand-ins for the public images that our Dockerfile starts from, made of Debian's own packages and this very Node.
 * The first time takes about two minutes; then they are in buildah's store, until the Dockerfile beside this changes.
 */
export async function openBases(root: string): Promise<Bases> {
  const folder = join(root, '.dev/images')
  const debian = join(folder, 'debian')
  await mkdir(folder, { recursive: true })
  if (!existsSync(join(folder, 'debian.tar'))) {
    await rm(debian, { recursive: true, force: true })
    await run('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'trixie', debian])
    await run('tar', [
      '-C',
      debian,
      '--exclude=./proc/*',
      '--exclude=./sys/*',
      '-cf',
      join(folder, 'debian.tar'),
      '.',
    ])
    await rm(debian, { recursive: true, force: true })
  }
  await copyFile(process.execPath, join(folder, 'node'))
  await copyFile(process.env.NODE_EXTRA_CA_CERTS ?? CERTIFICATES, join(folder, 'certificates.crt'))
  const { stdout: modules } = await run('npm', ['root', '--global'])
  await cp(join(modules.trim(), 'npm'), join(folder, 'npm'), { recursive: true, dereference: true })
  for (const target of ['build', 'run'] as const) {
    await build('buildah', join(import.meta.dirname, 'Dockerfile'), folder, { tag: BASES[target], target })
  }
  return BASES
}

/** What an image says about how it is run, as its Dockerfile wrote it. */
export interface ImageConfig {
  Entrypoint: string[]
  Cmd: string[]
  Env: string[]
  User: string
  WorkingDir: string
  Labels: Record<string, string>
  Healthcheck?: { Test: string[] }
}

/** An image that is unpacked, as an engine has it before it starts a container. */
export interface Unpacked extends AsyncDisposable {
  readonly config: ImageConfig
  readonly folder: string
  readonly bytes: number
  /** Of the layer that is ours. */
  readonly digest: string
}

export async function unpack(image: string): Promise<Unpacked> {
  const { stdout } = await buildah('inspect', '--type', 'image', image)
  const { Docker, OCIv1 } = JSON.parse(stdout) as {
    Docker: { config: ImageConfig }
    OCIv1: { rootfs: { diff_ids: string[] } }
  }
  const container = (await buildah('from', image)).stdout.trim()
  const folder = (await buildah('mount', container)).stdout.trim()
  const { stdout: size } = await run('du', ['--bytes', '--summarize', folder])
  return {
    config: Docker.config,
    folder,
    bytes: Number.parseInt(size, 10),
    digest: OCIv1.rootfs.diff_ids.at(-1)!,
    async [Symbol.asyncDispose]() {
      await buildah('rm', container)
    },
  }
}
