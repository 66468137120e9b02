import { Refusal } from './change.ts'
import type { Manifest } from './template.ts'

/**
 * pnpm-lock.yaml with a new or changed workspace member, exactly as pnpm would write it. All its versions are in the file
 * already, because another member uses them, so nothing is resolved or downloaded.
 *
 * @param folder of the member, as `apps/orders`
 * @throws {Refusal} when the file has no version of a dependency
 */
export function addImporter(lockfile: string, folder: string, manifest: Manifest): string {
  const versions = knownVersions(lockfile)
  const up = '../'.repeat(folder.split('/').length)
  const section = (title: string, wanted: Record<string, string> = {}): string[] => {
    const names = Object.keys(wanted).sort()
    if (names.length === 0) return []
    const lines = names.flatMap((name) => {
      const version = name.startsWith('@repo/') ? `link:${up}packages/${name.slice(6)}` : versions.get(name)
      if (!version) throw new Refusal(`pnpm-lock.yaml knows no version of ${name}: run pnpm install first.`)
      return [
        `      ${quote(name)}:`,
        `        specifier: ${quoteValue(wanted[name]!)}`,
        `        version: ${version}`,
      ]
    })
    return [`    ${title}:`, ...lines]
  }
  const sections = [
    ...section('dependencies', manifest.dependencies),
    ...section('devDependencies', manifest.devDependencies),
  ]
  const block = sections.length > 0 ? [`  ${folder}:`, ...sections, '', ''].join('\n') : `  ${folder}: {}\n\n`

  const { start, blocks, end } = readImporters(lockfile)
  const others = blocks.filter(({ name }) => name !== folder)
  const after = others.findIndex(({ name }) => name > folder)
  others.splice(after === -1 ? others.length : after, 0, { name: folder, text: block })
  return start + others.map(({ text }) => text).join('') + end
}

/** pnpm-lock.yaml without a member. The next `pnpm install` removes the packages that only this member used. */
export function removeImporter(lockfile: string, folder: string): string {
  const { start, blocks, end } = readImporters(lockfile)
  return start + blocks.flatMap(({ name, text }) => (name === folder ? [] : [text])).join('') + end
}

/** The names of the packages that a member used before, and that none uses after. pnpm must then clean the lockfile. */
export function droppedPackages(before: string, after: string): string[] {
  const left = namedPackages(after)
  return [...namedPackages(before)].filter((name) => !left.has(name))
}

interface Importers {
  start: string
  blocks: { name: string; text: string }[]
  end: string
}

function readImporters(lockfile: string): Importers {
  const title = '\nimporters:\n\n'
  const from = lockfile.indexOf(title) + title.length
  const to = lockfile.indexOf('\npackages:\n', from) + 1
  if (from < title.length || to < from)
    throw new Refusal('pnpm-lock.yaml is in a form that is not known here.')
  const blocks = lockfile
    .slice(from, to)
    .split(/^(?= {2}\S)/m)
    .map((text) => ({ name: /^ {2}(\S+?):/.exec(text)?.[1] ?? '', text }))
  return { start: lockfile.slice(0, from), blocks, end: lockfile.slice(to) }
}

function namedPackages(lockfile: string): Set<string> {
  const names = readImporters(lockfile).blocks.flatMap(({ text }) => [
    ...text.matchAll(/^ {6}'?([^\s']+)'?:$/gm),
  ])
  return new Set(names.map(([, name]) => name!).filter((name) => !name.startsWith('@repo/')))
}

function knownVersions(lockfile: string): Map<string, string> {
  const entries = lockfile.matchAll(/^ {6}'?([^\s']+)'?:\n {8}specifier: 'catalog:'\n {8}version: (.+)$/gm)
  return new Map([...entries].map(([, name, version]) => [name!, version!]))
}

function quote(name: string): string {
  return name.startsWith('@') ? `'${name}'` : name
}

function quoteValue(specifier: string): string {
  return specifier.endsWith(':') ? `'${specifier}'` : specifier
}
