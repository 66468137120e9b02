import { openRotation, type Rotation, type RotationOptions } from './rotation.ts'

/** One service as the edge sees it. */
interface Upstream {
  /** The path that the service owns, with everything below it. */
  readonly prefix: string
  readonly rotation: Rotation
}

export interface Upstreams extends AsyncDisposable {
  /** The service that owns a path: the longest prefix, in whole segments. Null when there is none. */
  find(path: string): Upstream | null
}

interface UpstreamsOptions extends Omit<RotationOptions, 'urls' | 'onChange'> {
  /** Each is `prefix=url|url`, as in UPSTREAMS. */
  routes: readonly string[]
  log: { info(what: object, message: string): void }
}

/** Opens the rotation of every service. Resolves after the first probe of each process. */
export async function openUpstreams({ routes, log, ...options }: UpstreamsOptions): Promise<Upstreams> {
  await using opening = new AsyncDisposableStack()
  const opened = await Promise.allSettled(
    routes.map(async (route): Promise<Upstream> => {
      const [prefix, urls] = route.split('=', 2) as [string, string]
      const rotation = await openRotation({
        ...options,
        urls: urls.split('|').map((url) => new URL(url)),
        onChange: (origin, health) => log.info({ upstream: prefix, origin, health }, `upstream ${health}`),
      })
      opening.use(rotation)
      return { prefix, rotation }
    }),
  )
  const upstreams = opened.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
  upstreams.sort((a, b) => b.prefix.length - a.prefix.length)

  const rotations = opening.move()
  return {
    find: (path) => upstreams.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`)) ?? null,
    [Symbol.asyncDispose]: () => rotations.disposeAsync(),
  }
}
