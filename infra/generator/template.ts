import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join, posix } from 'node:path'
import { format, type FormatOptions } from 'oxfmt'
import { Refusal } from './change.ts'

const KINDS = {
  http: 'answers requests under /api/<name>',
  worker: 'runs jobs',
  'http+worker': 'both, from one code base',
  package: 'a mechanism that apps share',
}
const CAPABILITIES = {
  database: 'tables of its own',
  session: 'knows which user is signed in',
  queue: 'jobs, enqueued in the transaction that needs them',
}
export type Kind = keyof typeof KINDS
export type Capability = keyof typeof CAPABILITIES

const TEMPLATES = join(import.meta.dirname, 'templates')

/** Whether this clone has jobs: a team may leave the queue out. */
export const hasJobs = existsSync(join(TEMPLATES, 'queue'))

/** What a service may be and have, each with a description. */
export const kinds = new Map(entriesOf(KINDS).filter(([kind]) => hasJobs || !kind.includes('worker')))
export const capabilities = new Map(entriesOf(CAPABILITIES).filter(([name]) => hasJobs || name !== 'queue'))

/** The template with all capabilities. It declares every dependency that one of them may need. */
export const richest = hasJobs ? 'queue-session' : 'database-session'

/** The template to copy, and the parts of it. */
export interface Choice {
  /** A folder of `templates/`. */
  template: string
  /** The entries of the wanted processes. TypeScript files that none of them imports are not copied. */
  entries: string[]
  /** What is added although it was not asked for, one sentence each. */
  notes: string[]
}

/** @throws {Refusal} when the kind and the capabilities do not fit together */
export function chooseTemplate(kind: Kind, asked: readonly Capability[]): Choice {
  if (kind === 'package') {
    if (asked.length > 0) throw new Refusal('Packages are leaves: an app gives a package what it needs.')
    return { template: 'package', entries: [], notes: [] }
  }
  const notes: string[] = []
  const hasWorker = kind !== 'http'
  if (kind === 'worker' && asked.includes('session')) {
    throw new Refusal('Nobody signs in to a worker: ask for --kind http+worker, or leave the session out.')
  }
  const hasSession = asked.includes('session')
  const hasQueue = hasWorker || asked.includes('queue')
  const hasDatabase = hasQueue || asked.includes('database')
  if (hasWorker && !asked.includes('queue'))
    notes.push('A worker takes its jobs from the queue: it gets one.')
  const isTableless = kind === 'worker' && !asked.includes('database')
  if (hasQueue && !asked.includes('database')) {
    notes.push(
      isTableless
        ? 'Jobs are rows of Postgres: it needs a database, and has no table of its own yet.'
        : 'A job is made in the transaction that made it necessary: queue brings database.',
    )
  }
  if (hasQueue && !hasWorker) {
    notes.push('Its jobs wait until a worker takes them: --kind http+worker brings one.')
  }
  const parts = [hasQueue ? 'queue' : hasDatabase && 'database', hasSession && 'session']
  return {
    template: isTableless ? 'worker' : parts.filter(Boolean).join('-') || 'http',
    entries: [kind !== 'worker' && 'src/server.ts', hasWorker && 'src/worker.ts'].filter(
      (entry) => entry !== false,
    ),
    notes,
  }
}

/** What an app or a package declares in its package.json. */
export interface Manifest {
  name: string
  exports?: Record<string, string>
  scripts?: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  /** An example app of the starter. */
  example?: boolean
  processes?: Record<string, { entry: string; route?: string; needs?: ('database' | 'session')[] }>
}

/** The texts of a member's files, by their path in it, with slashes. */
export type Files = Map<string, string>

// Made by tools, in a template as in any member.
const MADE = new Set(['node_modules', 'dist', '.turbo', 'generated', 'test-report.json'])

export function templateFolder(template: string): string {
  return join(TEMPLATES, template)
}

/** The files of a template and its package.json. Its name in them is `any-name`. */
export function readTemplate(template: string): { files: Files; manifest: Manifest } {
  const files = readFolder(templateFolder(template))
  const manifest = JSON.parse(files.get('package.json')!) as Manifest
  files.delete('package.json')
  return { files, manifest }
}

/** These entries, their tests, all that they import directly or indirectly, and all files that are not TypeScript. */
export function filesOf(entries: readonly string[], files: Files): Files {
  const tests = entries.map((entry) => `test/${basename(entry, '.ts')}.test.ts`)
  const wanted = new Set([...entries, ...tests].filter((path) => files.has(path)))
  for (const path of wanted) {
    for (const imported of relativeImports(path, files.get(path)!))
      if (files.has(imported)) wanted.add(imported)
  }
  return new Map([...files].filter(([path]) => wanted.has(path) || !path.endsWith('.ts')))
}

/** The dependencies that a file imports: a member declares only what it uses. */
export function dependenciesOf(files: Files, declared: Record<string, string> = {}): Record<string, string> {
  const text = [...files.values()].join('\n')
  const isUsed = (name: string): boolean =>
    text.includes(`'${name}'`) ||
    text.includes(`'${name}/`) ||
    // Only the generated client imports it, which is not a file of the template.
    (name === '@prisma/client' && files.has('schema.prisma'))
  return Object.fromEntries(Object.entries(declared).filter(([name]) => isUsed(name)))
}

/** The same, without those that the member declares already. */
export function missingDependencies(
  files: Files,
  declared: Record<string, string> | undefined,
  { dependencies, devDependencies }: Manifest,
): Record<string, string> {
  const named = { ...dependencies, ...devDependencies }
  return Object.fromEntries(Object.entries(dependenciesOf(files, declared)).filter(([name]) => !named[name]))
}

export function readFolder(folder: string): Files {
  return new Map(listFiles(folder).map((path) => [path, readFileSync(join(folder, path), 'utf8')]))
}

/** The paths of all files that tools have not made, sorted. */
export function listFiles(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .filter(({ name }) => !MADE.has(name))
    .flatMap((entry) => {
      const path = posix.join(below, entry.name)
      return entry.isDirectory() ? listFiles(folder, path) : entry.isFile() ? [path] : []
    })
    .sort()
}

function relativeImports(path: string, text: string): string[] {
  return [...text.matchAll(/\bfrom '(\.[^']+)'/g)].map(([, target]) =>
    posix.join(posix.dirname(path), target!),
  )
}

function entriesOf<T extends object>(about: T): [keyof T & string, string][] {
  return Object.entries(about) as [keyof T & string, string][]
}

/** The files as `pnpm format` would write them, because a longer name changes the line breaks. */
export async function formatFiles(root: string, files: Files): Promise<Files> {
  const { ignorePatterns: _, ...options } = JSON.parse(
    readFileSync(join(root, '.oxfmtrc.json'), 'utf8'),
  ) as FormatOptions & { ignorePatterns?: string[] }
  const formatted: Files = new Map()
  for (const [path, text] of files) {
    const isKnown = /\.(ts|json|md)$/.test(path)
    formatted.set(path, isKnown ? (await format(path, text, options)).code : text)
  }
  return formatted
}
