import { globSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const ROOT = resolve(import.meta.dirname, '../..')

/** A planted mistake: a module that each process loads before its own entry. */
export interface Fault {
  /** Such as `session-in-a-map`. */
  name: string
  url: string
}

/** The faults that a row must find: the files in `faults/<row>/`, and in `test/prove/faults/<row>/` of each app. */
export function listFaults(row: string): Fault[] {
  return listFaultFiles(row).map((file) => ({ name: basename(file, '.ts'), url: pathToFileURL(file).href }))
}

/** @param row a name, or `*` for all rows */
export function listFaultFiles(row: string): string[] {
  return globSync(`{infra,apps/*/test}/prove/faults/${row}/*.ts`, { cwd: ROOT })
    .sort()
    .map((file) => join(ROOT, file))
}
