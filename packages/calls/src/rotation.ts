import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceUnavailable } from './errors.ts'
import { hasName, lookupAll, resolveOrigins, type Lookup } from './resolve-origins.ts'
import { openProcess, readHealth, type Health, type UpstreamProcess } from './upstream-process.ts'

const RESOLVE_EVERY_MS = 1000
/** The timeout of a second look. Where nothing listens, it takes a millisecond. */
const SECOND_LOOK_MS = 500

/** The processes of one service, and the order of their turns. */
export interface Rotation extends AsyncDisposable {
  /**
   * The process whose last turn is the longest ago, among those that are ready and not in `tried`. When none is ready, one
   * that is not gone: a service without its database gives a better answer than the edge can.
   */
  next(tried: ReadonlySet<UpstreamProcess>): UpstreamProcess | undefined
  /**
   * The next process, which is then in `tried`. When there is none, all are probed at once, because one may have just become ready.
   *
   * @throws SERVICE_UNAVAILABLE with `retry-after`
   */
  take(tried: Set<UpstreamProcess>): Promise<UpstreamProcess>
}

export interface RotationOptions {
  /** Each is resolved again every second, and each of its addresses is one process. */
  urls: URL[]
  lookup?: Lookup
  probeEveryMs: number
  /** How long a process may take to begin its answer, and between two pieces of it. */
  timeoutMs: number
  onChange(origin: string, change: Health | 'removed'): void
}

/** Resolves after the first probe of each process that the names stand for. */
export async function openRotation(options: RotationOptions): Promise<Rotation> {
  const { urls, lookup = lookupAll, probeEveryMs, timeoutMs, onChange } = options
  const closing = new AbortController()
  const resolved = new Map<URL, string[]>()
  // The process whose turn is the longest ago comes first.
  const queue: UpstreamProcess[] = []
  let secondLook: Promise<void> | undefined

  async function resolveAll(): Promise<void> {
    for (const url of urls) resolved.set(url, await resolveOrigins(url, resolved.get(url) ?? [], lookup))
    if (closing.signal.aborted) return

    const urlOf = new Map([...resolved].flatMap(([url, origins]) => origins.map((origin) => [origin, url])))
    for (const process of queue.filter(({ origin }) => !urlOf.has(origin))) remove(process)
    for (const { origin } of queue) urlOf.delete(origin)

    const added = [...urlOf].map(([origin, url]) => openProcess(origin, url, timeoutMs))
    queue.push(...added)
    await Promise.all(added.map(look))
    for (const process of added) void keepLooking(process)
  }

  function remove(process: UpstreamProcess): void {
    queue.splice(queue.indexOf(process), 1)
    onChange(process.origin, 'removed')
    // Requests in flight are still answered: an address leaves its name before its process stops.
    void process.pool.close()
  }

  async function look(process: UpstreamProcess): Promise<void> {
    const seen = await readHealth(process)
    if (!queue.includes(process)) return
    if (seen !== process.health) onChange(process.origin, seen)
    process.health = seen
    // Only when another process is ready: if all are slow, retries would add to their work.
    if (seen === 'late' && queue.some(isReady)) for (const moveOn of process.waiting) moveOn()
  }

  async function keepLooking(process: UpstreamProcess): Promise<void> {
    while (queue.includes(process) && (await pause(probeEveryMs))) await look(process)
  }

  async function keepResolving(): Promise<void> {
    while (await pause(RESOLVE_EVERY_MS)) await resolveAll()
  }

  /** False when the rotation is closed. */
  function pause(ms: number): Promise<boolean> {
    return sleep(ms, true, { signal: closing.signal, ref: false }).catch(() => false)
  }

  await resolveAll()
  if (urls.some(hasName)) void keepResolving()

  function next(tried: ReadonlySet<UpstreamProcess>): UpstreamProcess | undefined {
    const untried = queue.filter((process) => !tried.has(process))
    const process = untried.find(isReady) ?? untried.find(({ health }) => health !== 'gone')
    if (process) queue.push(...queue.splice(queue.indexOf(process), 1))
    return process
  }

  /** Concurrent callers share one look. */
  function lookAgain(): Promise<void> {
    secondLook ??= Promise.race([Promise.all(queue.map(look)), sleep(SECOND_LOOK_MS)]).then(() => {
      secondLook = undefined
    })
    return secondLook
  }

  return {
    next,
    async take(tried) {
      let process = next(tried)
      if (!process) {
        await lookAgain()
        process = next(tried)
      }
      if (!process) throw Object.assign(new ServiceUnavailable(), { headers: { 'retry-after': '1' } })
      tried.add(process)
      return process
    },
    async [Symbol.asyncDispose]() {
      closing.abort()
      await Promise.all(queue.splice(0).map(({ pool }) => pool.destroy()))
    },
  }
}

function isReady({ health }: UpstreamProcess): boolean {
  return health === 'ready'
}
