import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { isWithin, type Change, type Step } from './change.ts'
import { ownReadme, withoutBlocks, withoutPaths, withoutRows } from './cut-text.ts'
import { addImporter, droppedPackages } from './lockfile.ts'
import { withoutVersions } from './plan-retirement.ts'
import { dependenciesOf, formatFiles, readFolder, type Files, type Manifest } from './template.ts'

/** Paths that two parts need, removed with the second of them: topologies of stores, and the page in a real browser. */
const SHARED = [
  'packages/testing/src/servers/start-{aiosmtpd,pgbouncer,redis-*}.ts',
  'infra/browser',
  'apps/*/test/journeys.ts',
]

/**
 * The tests of the packages and the rooms of infra that came with the starter, by name: what a team has made is its own. Tests of the
 * team's apps and manifests stay: what migrations say, whether a bundle runs, mistakes in manifests.
 */
const TESTS = [
  'packages/{build,config,database,limits,mail,page,queue,service,session,testing}/test',
  'infra/{deploy,dev,generator}/test',
  'infra/test/{forgotten-await,stores}',
  'infra/{check,check/lint,install,jobs,prove,test}/*.test.ts',
  'infra/test/run-command.ts',
  'infra/migrate/{ask,backup.long,find-unsafe-migrations,main.long}.test.ts',
  'infra/deploy/{find-drift,render,*/render,image/workflows}.test.ts',
  'infra/formation.test.ts',
  'apps/*/test/{administer,fail-closed,fleet,flood,guesses,text-work}.long.test.ts',
  'apps/*/test/{alternation,failing,moves,servers-and-roles}.long.test.ts',
  'apps/*/test/measure-overhead.ts',
]

/** The parts that a clone can do without: a description, the paths, and the scripts that run it. */
export const parts = {
  procfile: {
    about: 'for Heroku, and whatever reads a Procfile',
    paths: ['Procfile', 'infra/deploy/procfile'],
    scripts: [],
  },
  compose: {
    about: 'for one machine with Docker: docker compose up',
    paths: ['infra/deploy/compose'],
    scripts: ['infra --secrets'],
  },
  kubernetes: {
    about: 'for a cluster: a base that is rendered, and overlays',
    paths: ['infra/deploy/kubernetes'],
    scripts: [],
  },
  prove: {
    about: 'pnpm prove: your services, attacked as those of the starter are',
    paths: ['infra/prove', 'infra/install/install-apart.ts', 'apps/*/test/prove', ...SHARED],
    scripts: ['prove'],
  },
  memcached: {
    about: 'sessions and limits in Memcached, beside Redis and Postgres',
    paths: ['packages/{session,testing}/{src,test}/**/*memcached*.ts'],
    scripts: [],
    topic: 'memcached',
  },
  tests: {
    about:
      'the tests of packages and infra, and the long ones of the apps of the starter, for a team that changes these',
    paths: [...TESTS, ...SHARED],
    scripts: [],
  },
} as const satisfies Record<string, Room & { about: string }>

export type PartName = keyof typeof parts

interface Room {
  /** Files and folders, or patterns of them. */
  paths: readonly string[]
  scripts: readonly string[]
  /** Table rows with this word in the first cell are removed. */
  topic?: string
}

/** The tests and measurements of the starter itself. No clone keeps them. */
const STARTER: Room = {
  paths: ['infra/starter', 'apps/*/test/starter', 'infra/generator/adopted'],
  scripts: ['verify', 'bench'],
}

/** Files of the starter that a team has its own versions of. Only the first run removes them. */
const OURS = ['.ci', 'LICENSE']

/** The files in which the page shows its name. */
const BRANDED = ['apps/web/page/index.html', 'apps/web/page/main.ts']

/** The files that may have blocks or rows about a part. Each is a path or a pattern. */
const DOCUMENTS = [
  'docs/**/*.md',
  'README.md',
  '{apps,packages}/*/README.md',
  'infra/generator/README.md',
  '.github/workflows/*.yml',
  '{infra/deploy,infra/test,packages/{limits,session,testing}/{src,test}}/**/*.ts',
]
const SETTINGS = ['tsconfig.json', 'renovate.json', '.oxfmtrc.json']

export interface Adoption {
  /** The name of the team's repository, as `shop`. */
  name: string
  keep: readonly PartName[]
  /** The release of the starter that was cloned, or its commit. */
  origin: string
}

/**
 * Makes a clone of the starter a team's own: removes the tests of the starter itself, and each part that is not kept. The
 * first run also writes a README, a CI and a notice of the licence. A later run removes more, or what a merge brought back.
 */
export async function planAdoption(root: string, { name, keep, origin }: Adoption): Promise<Change> {
  const isFirst = !existsSync(join(root, 'NOTICE'))
  const going: Room[] = [
    STARTER,
    ...Object.entries(parts).flatMap(([part, room]) => (keep.includes(part as PartName) ? [] : [room])),
  ]
  const kept: string[] = keep.flatMap((part) => parts[part].paths)
  const patterns = [...going.flatMap((part) => part.paths), ...(isFirst ? OURS : [])].filter(
    (path) => !kept.includes(path),
  )
  const paths = listPaths(root, patterns)
  // A merge may have brought rows back about what is not there any more.
  const named = patterns.filter((path) => /^[\w./-]+$/.test(path))
  const scripts = going.flatMap((part) => part.scripts)
  const topics = going.flatMap((part) => part.topic ?? [])
  const files = new Map<string, string>()

  for (const file of DOCUMENTS.flatMap((pattern) => globSync(pattern, { cwd: root }))) {
    if (isWithin(file, paths)) continue
    const text = read(root, file)
    const left = withoutRows(withoutBlocks(text, keep), scripts, named, topics)
    if (left !== text) files.set(file, left)
  }
  for (const file of SETTINGS.filter((path) => existsSync(join(root, path)))) {
    const settings = JSON.parse(read(root, file)) as unknown
    const left = withoutPaths(settings, paths)
    if (JSON.stringify(left) !== JSON.stringify(settings)) files.set(file, JSON.stringify(left))
  }
  if (isFirst) {
    files.set(
      'README.md',
      ownReadme(
        read(root, 'infra/generator/adopted/README.md'),
        files.get('README.md') ?? read(root, 'README.md'),
        { name, origin },
      ),
    )
    files.set('.github/workflows/ci.yml', withoutBlocks(read(root, 'infra/generator/adopted/ci.yml'), keep))
    const title = name[0]!.toUpperCase() + name.slice(1).replaceAll('-', ' ')
    for (const file of listPaths(root, BRANDED))
      files.set(file, read(root, file).replaceAll('Nonstick', title))
    files.set(
      'NOTICE',
      `${name} began as a clone of Nonstick ${origin}, which has this licence:\n\n${read(root, 'LICENSE')}`,
    )
  }
  const manifest = JSON.parse(read(root, 'package.json')) as Manifest & { license?: string }
  const left = Object.entries(manifest.scripts ?? {}).filter(([script]) => !scripts.includes(script))
  if (isFirst) delete manifest.license
  files.set('package.json', JSON.stringify({ ...manifest, name, scripts: Object.fromEntries(left) }))
  const lockfile = trimMembers(root, paths, files)

  const formatted = await formatFiles(root, files)
  return {
    steps: [
      ...paths.map((path) => ({ remove: path })),
      ...[...formatted].flatMap(([path, content]) => writeOf(root, path, content)),
      ...lockfile,
    ],
    notes: [],
  }
}

/** Counts the files and their lines, without the lockfile, and the lines of tests: now, or after these steps. */
export function countOwned(
  root: string,
  { steps }: Pick<Change, 'steps'> = { steps: [] },
): {
  files: number
  lines: number
  ofTests: number
} {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  const removed = steps.flatMap((step) => ('remove' in step ? [step.remove] : []))
  const written = new Map(
    steps.flatMap((step) => ('write' in step ? [[step.write, step.content] as const] : [])),
  )
  const paths = new Set([...listed.split('\0').filter(Boolean), ...written.keys()])
  const owned = { files: 0, lines: 0, ofTests: 0 }
  for (const path of paths) {
    if (isWithin(path, removed) || path === 'pnpm-lock.yaml') continue
    const text = written.get(path) ?? (existsSync(join(root, path)) ? read(root, path) : undefined)
    if (text === undefined) continue
    const lines = text.split('\n').length - 1
    owned.files += 1
    owned.lines += lines
    if (/\/test\/|\.test\.ts$/.test(path)) owned.ofTests += lines
  }
  return owned
}

/** The existing paths that match a pattern. Templates are left out, because services are made of them. */
export function listPaths(root: string, patterns: readonly string[]): string[] {
  const paths = patterns.flatMap((pattern) =>
    globSync(pattern, {
      cwd: root,
      exclude: (path) => /(^|\/)(node_modules|templates)$/.test(path),
    }).toSorted(),
  )
  const isInside = (path: string): boolean => paths.some((other) => path.startsWith(`${other}/`))
  return [...new Set(paths)].filter((path) => !isInside(path))
}

/** Removes from the manifests of infra and packages the dependencies, exports and scripts that are no longer needed. */
function trimMembers(root: string, paths: readonly string[], files: Map<string, string>): Step[] {
  const before = read(root, 'pnpm-lock.yaml')
  let content = before
  for (const folder of ['infra', ...globSync('packages/*', { cwd: root }).toSorted()]) {
    if (!paths.some((path) => path.startsWith(`${folder}/`))) continue
    const manifest = JSON.parse(read(root, `${folder}/package.json`)) as Manifest
    const isGone = (path: string): boolean => isWithin(`${folder}/${path}`, paths)
    const sources = [...readFolder(join(root, folder))].filter(
      ([path]) => path.endsWith('.ts') && !path.startsWith('generator/templates/') && !isGone(path),
    )
    const next = trimManifest(manifest, new Map(sources), isGone)
    if (JSON.stringify(next) === JSON.stringify(manifest)) continue
    files.set(`${folder}/package.json`, JSON.stringify(next))
    content = addImporter(content, folder, next)
  }
  if (content === before) return []
  return [
    { write: 'pnpm-lock.yaml', content, before },
    ...withoutVersions(root, droppedPackages(before, content)),
  ]
}

function trimManifest(manifest: Manifest, sources: Files, isGone: (path: string) => boolean): Manifest {
  const next = structuredClone(manifest)
  const { scripts = {}, exports = {} } = next
  if (![...sources.keys()].some((path) => path.endsWith('.test.ts'))) delete scripts.test
  for (const [name, command] of Object.entries(scripts))
    if (command.split(' ').some(isGone)) delete scripts[name]
  for (const [name, path] of Object.entries(exports)) if (isGone(posix.normalize(path))) delete exports[name]
  for (const kind of ['dependencies', 'devDependencies'] as const) {
    const left = dependenciesOf(sources, manifest[kind])
    for (const name of Object.keys(next[kind] ?? {})) {
      const typed = /^@types\/(.+)/.exec(name)?.[1]
      if (!(typed === undefined ? name in left : typed in (next.dependencies ?? {}))) delete next[kind]![name]
    }
    if (Object.keys(next[kind] ?? {}).length === 0) delete next[kind]
  }
  if (Object.keys(scripts).length === 0) delete next.scripts
  return next
}

function writeOf(root: string, path: string, content: string): Step[] {
  const before = existsSync(join(root, path)) ? read(root, path) : undefined
  return before === content ? [] : [{ write: path, content, before }]
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
