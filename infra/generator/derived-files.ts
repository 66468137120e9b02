import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { render } from '../deploy/render.ts'
import { processTypeOf, readFormation, type Formation, type ProcessType } from '../formation.ts'
import type { Step } from './change.ts'
import type { Files, Manifest } from './template.ts'

/** An app as it will be: its declared processes, its new or changed files, and the links to its new dependencies. */
export interface ComingApp {
  folder: string
  processes: NonNullable<Manifest['processes']>
  files: Files
  links: Files
}

/** The steps that bring the files derived from the formation up to date after this app has come, or has changed. */
export async function deriveWith(root: string, app: ComingApp): Promise<Step[]> {
  const { folder, processes } = app
  const { release, running } = readFormation(root)
  const others = running.filter((type) => type.app !== folder)
  const own = Object.entries(processes).map(([name, one]) => processTypeOf(folder, name, one))
  const after = { release, running: [...others, ...own].sort(byName) }
  const likeness = makeLikeness(root, app)
  const before = { release, running }
  try {
    const files = await asIf(root, after, { [folder]: likeness }, (house) => render(house, after))
    // A new app takes no file away.
    const isLess = after.running.length < running.length
    return [...stepsTo(root, files), ...(isLess ? stepsFrom(root, await render(root, before), files) : [])]
  } finally {
    rmSync(likeness, { recursive: true })
  }
}

/** Makes a folder with the files of the app as they will be, and with links to the packages that they import. */
function makeLikeness(root: string, { folder, files, links }: ComingApp): string {
  mkdirSync(join(root, '.dev/changes'), { recursive: true, mode: 0o700 })
  const likeness = mkdtempSync(join(root, '.dev/changes/app-'))
  if (existsSync(join(root, folder, 'package.json')))
    for (const part of ['src', 'package.json', 'node_modules'])
      cpSync(join(root, folder, part), join(likeness, part), { recursive: true })
  for (const [path, text] of files) {
    mkdirSync(dirname(join(likeness, path)), { recursive: true })
    writeFileSync(join(likeness, path), text)
  }
  for (const [path, to] of links) {
    mkdirSync(dirname(join(likeness, path)), { recursive: true })
    symlinkSync(resolve(root, folder, dirname(path), to), join(likeness, path), 'dir')
  }
  return likeness
}

/** The same after an app is removed. */
export async function deriveWithout(root: string, app: string): Promise<Step[]> {
  const { release, running } = readFormation(root)
  const stays = (type: ProcessType): boolean => type.app !== app
  const left = { release: release.filter(stays), running: running.filter(stays) }
  const [before, after] = [await render(root, { release, running }), await render(root, left)]
  return [...stepsTo(root, after), ...stepsFrom(root, before, after)]
}

function stepsTo(root: string, files: ReadonlyMap<string, string>): Step[] {
  return [...files].flatMap(([path, content]) => {
    const before = existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined
    return before === content ? [] : [{ write: path, content, before }]
  })
}

/** The removal of the files that are rendered no more. */
function stepsFrom(
  root: string,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Step[] {
  const gone = [...before.keys()].filter((path) => !after.has(path) && existsSync(join(root, path)))
  return gone.map((path) => ({ remove: path }))
}

/** Calls `look` with a temporary root in which each app of the formation is at its path, by a link to its real folder. */
async function asIf<T>(
  root: string,
  { release, running }: Formation,
  elsewhere: Record<string, string>,
  look: (house: string) => Promise<T>,
): Promise<T> {
  mkdirSync(join(root, '.dev/changes'), { recursive: true, mode: 0o700 })
  const house = mkdtempSync(join(root, '.dev/changes/house-'))
  try {
    mkdirSync(join(house, 'apps'))
    for (const app of new Set([...release, ...running].map(({ app }) => app))) {
      symlinkSync(elsewhere[app] ?? join(root, app), join(house, app), 'dir')
    }
    return await look(house)
  } finally {
    rmSync(house, { recursive: true })
  }
}

function byName(a: ProcessType, b: ProcessType): number {
  return a.name < b.name ? -1 : 1
}
