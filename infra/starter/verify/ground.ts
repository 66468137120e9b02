import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { getGlobalDispatcher } from 'undici'
import { buildImage, writeBillOfMaterials, type Bases } from '../../deploy/image/build-image.ts'
import { readVariables } from '../../deploy/variables.ts'
import { readFormation, type Formation, type ProcessType } from '../../formation.ts'
import { signUp, WHO_AM_I, type Person } from '../../prove/load/person.ts'
import type { Expected } from './image-problems.ts'
import { openImages, type Images, type Unpacked } from './open-images.ts'
import { buildPlanted, type Additions } from './planted-images.ts'
import { runContainer, type Container } from './run-container.ts'
import { containerEnvironment, openStores, verifyRelease, type Stores } from './verify-run.ts'

/** Resources that checks share. Each is created when the first check needs it, so a few checks create only a few. */
export interface Ground extends AsyncDisposable {
  readonly root: string
  readonly formation: Formation
  images(): Promise<Images>
  stores(): Promise<Stores>
  image(type: ProcessType): Promise<Unpacked>
  /** The image, built again without a cache: its base images have another digest. */
  imageAgain(type: ProcessType): Promise<Unpacked>
  /** The image with lines added to its Dockerfile. */
  plant(type: ProcessType, additions: Additions): Promise<Unpacked>
  expected(type: ProcessType): Promise<Expected>
  environment(type: ProcessType): Promise<Record<string, string>>
  /** Runs each release process twice, to its end. */
  release(): Promise<string>
  /** Starts a container, of `image` when it is given. Resolves when it is ready. */
  start(type: ProcessType, image?: Unpacked): Promise<Container>
  /** A signed-in user. Undefined when no app has accounts. */
  person(): Promise<Person | undefined>
}

export function openGround(root: string): Ground {
  const formation = readFormation(root)
  const resources = new AsyncDisposableStack()
  const images = once(async () => resources.use(await openImages(root)))
  const variables = once(() => readVariables(root, formation))
  const stores = once(async () => resources.use(await openStores(formation, await variables())))

  async function makeImage(type: ProcessType, tag: string, bases: Bases): Promise<Unpacked> {
    const { builder, unpack } = await images()
    await buildImage(root, type, builder, { bases, tag })
    return unpack(`localhost/${tag}`)
  }
  const image = onceEach(async (type) => makeImage(type, `nonstick/${type.name}`, (await images()).bases))
  const imageAgain = onceEach(async (type) =>
    makeImage(type, `nonstick-again/${type.name}`, (await images()).otherBases),
  )

  async function environment(type: ProcessType): Promise<Record<string, string>> {
    return containerEnvironment(type, formation, await stores())
  }

  const release = once(async () => {
    const found: string[] = []
    for (const type of formation.release) {
      found.push(await verifyRelease(await image(type), await environment(type), type))
    }
    return found.join('; ')
  })

  async function start(type: ProcessType, other?: Unpacked): Promise<Container> {
    await release()
    const container = await runContainer(other ?? (await image(type)), await environment(type), type)
    await container.readyAfterMs
    return container
  }

  return {
    root,
    formation,
    images,
    stores,
    image,
    imageAgain,
    async plant(type, additions) {
      await image(type)
      return await buildPlanted(await images(), `nonstick/${type.name}`, additions)
    },
    async expected(type) {
      const list = JSON.parse(await readFile(await writeBillOfMaterials(root, type), 'utf8')) as {
        components: { group?: string; name: string; version: string }[]
      }
      const names = list.components.map(
        ({ group, name, version }) => `${group ? `${group}/` : ''}${name}@${version}`,
      )
      const secretNames = [...(await variables()).values()]
        .flat()
        .flatMap((one) => (one.kept ? [one.name] : []))
      return { type, listed: new Set(names), secretNames, secrets: (await stores()).secretValues }
    },
    environment,
    release,
    start,
    person: once(async () => {
      const accounts = formation.running.find(({ route }) => route && WHO_AM_I.startsWith(`${route}/`))
      if (!accounts) return undefined
      await using container = await start(accounts)
      const caller = { url: container.url, dispatcher: getGlobalDispatcher() }
      return await signUp(caller, `${randomUUID()}@example.com`)
    }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}

function onceEach<T>(make: (type: ProcessType) => Promise<T>): (type: ProcessType) => Promise<T> {
  const made = new Map<string, Promise<T>>()
  return (type) => {
    const found = made.get(type.name) ?? make(type)
    made.set(type.name, found)
    return found
  }
}
