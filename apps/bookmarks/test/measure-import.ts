import { readFile } from 'node:fs/promises'
import { bookmarkFile } from './bookmark-file.ts'
import type { Formation } from './formation.ts'

export interface Measurement {
  links: number
  fileMB: number
  importSeconds: number
  exportSeconds: number
  /** The most memory that each process ever had resident; empty where the system does not say (it does on Linux). */
  peakMB: Record<string, number>
}

/** Imports and exports a large file, and tells how long it took and how much memory the processes did. */
export async function measureImport(
  { servers, workers, person }: Formation,
  links: number,
): Promise<Measurement> {
  const somebody = await person()
  const file = Buffer.from(bookmarkFile(links))

  const begun = performance.now()
  const done = await somebody.import(file)
  if (done.imported !== links) throw new Error(`Not all links were imported: ${JSON.stringify(done)}`)
  const imported = performance.now()
  const exported = await somebody.get('/export')
  if (exported.body.match(/<A /g).length !== links) throw new Error('Not all bookmarks were exported')

  const processes = [servers, workers].flatMap((fleet) => [fleet.process(1), fleet.process(2)])
  const peaks = await Promise.all(
    processes.map(async ({ name, pid }) => [name, await peakMemory(pid)] as const),
  )
  return {
    links,
    fileMB: Math.round(file.length / 1e6),
    importSeconds: Math.round(imported - begun) / 1000,
    exportSeconds: Math.round(performance.now() - imported) / 1000,
    peakMB: Object.fromEntries(
      peaks.filter(([, bytes]) => bytes > 0).map(([name, bytes]) => [name, Math.round(bytes / 1e6)]),
    ),
  }
}

async function peakMemory(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0)
}
