import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A mistake that somebody could make, as a module that processes load before their own entry. */
export interface Fault {
  /** As `session-in-a-map`. */
  name: string
  url: string
}

/** The faults that a row must find: the files of `faults/<row>/`. */
export async function listFaults(row: string): Promise<Fault[]> {
  const folder = join(import.meta.dirname, 'faults', row)
  const files = await readdir(folder).catch((): string[] => [])
  return files.sort().map((file) => ({
    name: file.replace(/\.ts$/, ''),
    url: pathToFileURL(join(folder, file)).href,
  }))
}
