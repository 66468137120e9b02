import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build, buildah, type Bases, type Builder } from '../../deploy/image/build-image.ts'

const run = promisify(execFile)

const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

/** Images of a verification, in a store of their own (.dev/images), so that they are not among yours. */
export interface Images extends AsyncDisposable {
  readonly builder: Builder
  /** Replacements for the public base images of our Dockerfile, made of Debian's packages and the Node that runs us. */
  readonly bases: Bases
  /** The same with another digest: builds on them cannot use the layers of earlier builds. */
  readonly otherBases: Bases
  unpack(image: string): Promise<Unpacked>
}

/** The configuration of an image, as its Dockerfile sets it. */
interface ImageConfig {
  Entrypoint: string[]
  Cmd: string[]
  Env: string[]
  User: string
  WorkingDir: string
  Labels: Record<string, string>
  Healthcheck?: { Test: string[] }
}

/** An unpacked image, ready to be run. */
export interface Unpacked {
  readonly config: ImageConfig
  /** The output of `buildah inspect`, with the history of the image. */
  readonly history: string
  readonly folder: string
  readonly bytes: number
  /** Digest of our own layer, which is the last one. */
  readonly digest: string
}

/** The first call takes about two minutes. Later ones use the same Debian, and the layers that have not changed. */
export async function openImages(root: string): Promise<Images> {
  const folder = join(root, '.dev/images')
  const builder = await openStore(folder)
  const ask = async (...args: string[]): Promise<string> =>
    (await run('buildah', args, { env: builder.env, maxBuffer: 1e8 })).stdout.trim()
  // Containers that a killed run has left.
  await ask('rm', '--all')

  if (!existsSync(join(folder, 'trixie.tar'))) await makeDebian(folder)
  await copyFile(process.execPath, join(folder, 'node'))
  await copyFile(process.env.NODE_EXTRA_CA_CERTS ?? CERTIFICATES, join(folder, 'certificates.crt'))
  const { stdout: modules } = await run('npm', ['root', '--global'])
  await cp(join(modules.trim(), 'npm'), join(folder, 'npm'), { recursive: true, dereference: true })
  async function buildBase(target: string): Promise<string> {
    const tag = `nonstick-${target}`
    await build(builder, join(import.meta.dirname, 'Dockerfile'), folder, { tag, target })
    return `localhost/${tag}`
  }

  return {
    builder,
    bases: { build: await buildBase('build'), run: await buildBase('run') },
    otherBases: { build: await buildBase('other-build'), run: await buildBase('other-run') },
    async unpack(image) {
      const history = await ask('inspect', '--type', 'image', image)
      const { Docker, OCIv1 } = JSON.parse(history) as {
        Docker: { config: ImageConfig }
        OCIv1: { rootfs: { diff_ids: string[] } }
      }
      const unpacked = await ask('mount', await ask('from', image))
      const { stdout: size } = await run('du', ['--bytes', '--summarize', unpacked])
      return {
        config: Docker.config,
        history,
        folder: unpacked,
        bytes: Number.parseInt(size, 10),
        digest: OCIv1.rootfs.diff_ids.at(-1)!,
      }
    },
    async [Symbol.asyncDispose]() {
      await ask('rm', '--all')
      // Layers of earlier builds that no image uses any more.
      await ask('rmi', '--prune')
    },
  }
}

async function openStore(folder: string): Promise<Builder> {
  const configuration = join(folder, 'storage.conf')
  const temporary = join(folder, 'tmp')
  await mkdir(temporary, { recursive: true })
  await writeFile(
    configuration,
    `[storage]\ndriver = "overlay"\ngraphroot = "${folder}/store"\nrunroot = "${folder}/run"\n`,
  )
  return { ...buildah({ CONTAINERS_STORAGE_CONF: configuration, TMPDIR: temporary }), isQuiet: true }
}

async function makeDebian(folder: string): Promise<void> {
  const debian = join(folder, 'debian')
  await rm(debian, { recursive: true, force: true })
  // Node is linked to libatomic since 25, and node's own images have it.
  await run('debootstrap', ['--variant=minbase', '--include=ca-certificates,libatomic1', 'trixie', debian])
  const archive = join(folder, 'trixie.tar')
  await run('tar', ['-C', debian, '--exclude=./proc/*', '--exclude=./sys/*', '-cf', archive, '.'])
  await rm(debian, { recursive: true, force: true })
}
