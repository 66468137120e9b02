import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A mistake that somebody could make, as a module that processes load before their own entry. */
export interface Fault {
  /** As `session-in-a-map`. */
  name: string
  url: string
}

/** The faults that a row must find: the files of `faults/<row>/`, and of `apps/<app>/faults/<row>/` those in an app. */
export function listFaults(row: string): Fault[] {
  return globSync(`{faults,apps/*/faults}/${row}/*.ts`, { cwd: import.meta.dirname })
    .sort()
    .map((file) => ({
      name: basename(file, '.ts'),
      url: pathToFileURL(join(import.meta.dirname, file)).href,
    }))
}
