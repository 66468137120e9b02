import { watch } from 'node:fs'
import { join, relative, sep } from 'node:path'
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
  /** Makes the products whose sources have changed. Returns the members of those that fail, each with the reason. */
  makeFor(formation: Formation): Promise<ReadonlyMap<string, Error>>
  release(formation: Formation): Promise<void>
}

/** Applies each edit: makes products, runs release processes, and starts, stops or restarts processes. */
export function followEdits(options: EditsOptions): Disposable {
  const { root, supervisor, print, makeFor, release } = options
  // All changes that are not applied yet, because of an error. The next edit applies them as well.
  let pending = new Set<string>()
  let known = JSON.stringify(options.formation)

  async function onChange(changed: ReadonlySet<string>): Promise<void> {
    pending = new Set([...pending, ...changed])
    try {
      pending = await follow(pending)
    } catch (error) {
      print.warn((error as Error).message)
    }
  }

  /** @returns the changes that wait: a member whose product fails keeps its processes as they are, and no other member's */
  async function follow(changed: ReadonlySet<string>): Promise<Set<string>> {
    const formation = readFormation(root)
    const failed = await makeFor(formation)
    for (const { message } of failed.values()) print.warn(message)
    const waiting = new Set([...changed].filter((path) => failed.has(memberOf(path))))
    const paths = new Set([...changed].filter((path) => !waiting.has(path)))
    if (paths.size === 0) return waiting
    const names = [...paths].map((path) => relative(root, path))
    const isOther = known !== JSON.stringify(formation)
    if (isOther || names.some((name) => /^apps\/[^/]+\/migrations\//.test(name))) {
      await release(formation)
    }
    known = JSON.stringify(formation)
    for (const problem of await supervisor.follow(formation, { paths, name: shortly(names) }))
      print.warn(problem)
    if (isOther) print.table(supervisor.rows())
    return waiting
  }

  function memberOf(path: string): string {
    return relative(root, path).split(sep).slice(0, 2).join('/')
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
