import { watch } from 'node:fs'
import { join, relative } from 'node:path'
import { readFormation, type Formation } from '../formation.ts'
import { packagesOf } from './make.ts'
import type { Printer } from './print.ts'
import type { Supervisor } from './supervisor.ts'
import { watchFolders } from './watch-folders.ts'

interface EditsOptions {
  root: string
  /** The formation that runs now. */
  formation: Formation
  supervisor: Supervisor
  print: Printer
  /** Makes the products whose sources have changed. */
  makeFor(formation: Formation): Promise<void>
  release(formation: Formation): Promise<void>
}

/** Applies each edit: makes products, runs release processes, and starts, stops or restarts processes. */
export function followEdits(options: EditsOptions): Disposable {
  const { root, supervisor, print, makeFor, release } = options
  // All changes since the last edit that was applied without an error. The next edit applies them as well.
  let pending = new Set<string>()
  let known = JSON.stringify(options.formation)

  async function onChange(changed: ReadonlySet<string>): Promise<void> {
    pending = new Set([...pending, ...changed])
    try {
      await follow(pending)
      pending = new Set()
    } catch (error) {
      print.warn((error as Error).message)
    }
  }

  async function follow(paths: ReadonlySet<string>): Promise<void> {
    const names = [...paths].map((path) => relative(root, path))
    const formation = readFormation(root)
    await makeFor(formation)
    const isOther = known !== JSON.stringify(formation)
    if (isOther || names.some((name) => /^apps\/[^/]+\/migrations\//.test(name))) {
      await release(formation)
    }
    known = JSON.stringify(formation)
    for (const problem of await supervisor.follow(formation, { paths, name: shortly(names) }))
      print.warn(problem)
    if (isOther) print.table(supervisor.rows())
  }

  let installed = packagesOf(root)
  const lockfile = watch(root, (_event, name) => {
    if (name !== 'pnpm-lock.yaml' || installed === (installed = packagesOf(root))) return
    print.say('pnpm-lock.yaml changed. Once "pnpm install" has run, save a file of a service to restart it.')
  })
  const sources = watchFolders([join(root, 'apps'), join(root, 'packages')], onChange)
  return {
    [Symbol.dispose]() {
      sources[Symbol.dispose]()
      lockfile.close()
    },
  }
}

function shortly(names: string[]): string {
  return names.length > 2 ? `${names.length} files` : names.join(', ')
}
