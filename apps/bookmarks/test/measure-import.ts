import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { bookmarkFile } from './bookmark-file.ts'
import type { Answer, Formation, Import, Person } from './formation.ts'

/** The flags that infra/formation.ts gives to a process of 256 MiB. */
export const HEAP_FLAGS = '--max-old-space-size=128 --max-semi-space-size=2'

/** Of the 268 MB that its container may use. */
export const MOST_MB = 220

export interface Measurement {
  links: number
  fileMB: number
  importSeconds: number
  exportSeconds: number
  /** How long another user waits for their bookmarks, in ms: the median and the 99th of a hundred, before and meanwhile. */
  othersWaitMs: Record<'usually' | 'importing' | 'exporting', [p50: number, p99: number]>
  /** The peak resident memory of each process. Empty on systems other than Linux. */
  peakMB: Record<string, number>
}

/** Imports and exports a large file. Resolves to the time it took and the memory of each process. */
export async function measureImport(
  { servers, workers, person }: Formation,
  links: number,
): Promise<Measurement> {
  const somebody = await person()
  const file = Buffer.from(bookmarkFile(links))

  const other = await person()
  const usually = await whileDoing(other, () => sleep(2000))

  const begun = performance.now()
  let done: Import | undefined
  const importing = await whileDoing(other, async () => void (done = await somebody.import(file)))
  if (done?.imported !== links) throw new Error(`Not all links were imported: ${JSON.stringify(done)}`)
  const imported = performance.now()
  let exported: Answer | undefined
  const exporting = await whileDoing(other, async () => void (exported = await somebody.get('/export')))
  if (exported?.body.match(/<A /g).length !== links) throw new Error('Not all bookmarks were exported')

  const processes = [servers, workers].flatMap((fleet) => [fleet.process(1), fleet.process(2)])
  const peaks = await Promise.all(
    processes.map(async ({ name, pid }) => [name, await peakMemory(pid)] as const),
  )
  return {
    links,
    fileMB: Math.round(file.length / 1e6),
    importSeconds: Math.round(imported - begun) / 1000,
    exportSeconds: Math.round(performance.now() - imported) / 1000,
    othersWaitMs: { usually, importing, exporting },
    peakMB: Object.fromEntries(
      peaks.filter(([, bytes]) => bytes > 0).map(([name, bytes]) => [name, Math.round(bytes / 1e6)]),
    ),
  }
}

/** Sends a request every 10 ms until the work is done. */
async function whileDoing(other: Person, work: () => Promise<unknown>): Promise<[p50: number, p99: number]> {
  const waits: number[] = []
  const done = new AbortController()
  const doing = work().finally(() => done.abort())
  do {
    const askedAt = performance.now()
    await other.get('')
    waits.push(performance.now() - askedAt)
    await sleep(10)
  } while (!done.signal.aborted)
  await doing
  waits.sort((a, b) => a - b)
  return [waits[Math.floor(waits.length / 2)]!, waits[Math.floor(waits.length * 0.99)]!].map((ms) =>
    Math.round(ms),
  ) as [number, number]
}

async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}
