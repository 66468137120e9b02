import { globSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = resolve(import.meta.dirname, '../..')

/** A mistake that somebody could make, as a module that processes load before their own entry. */
export interface Fault {
  /** As `session-in-a-map`. */
  name: string
  url: string
}

/** The faults that a row must find: the files of `faults/<row>/`, and of `test/prove/faults/<row>/` in each app. */
export function listFaults(row: string): Fault[] {
  return listFaultFiles(row).map((file) => ({ name: basename(file, '.ts'), url: pathToFileURL(file).href }))
}

/** @param row a name, or `*` for those of all rows */
export function listFaultFiles(row: string): string[] {
  return globSync(`{infra,apps/*/test}/prove/faults/${row}/*.ts`, { cwd: ROOT })
    .sort()
    .map((file) => join(ROOT, file))
}
