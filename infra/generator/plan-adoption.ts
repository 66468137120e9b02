import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { isWithin, pathOf, Refusal, type Change, type Step } from './change.ts'
import { ownReadme, withoutBlocks, withoutIdleImports, withoutPaths, withoutRows } from './cut-text.ts'
import { deriveWith } from './derived-files.ts'
import { addImporter, droppedPackages, removeImporter } from './lockfile.ts'
import { withoutVersions } from './plan-retirement.ts'
import { dependenciesOf, formatFiles, readFolder, type Files, type Manifest } from './template.ts'

/** A mail server that delivers nothing. Mails need it, and the formations that a real browser visits. */
const CATCHER = 'packages/testing/src/start-mail-catcher.ts'

/** Paths that two parts need, removed with the second of them: topologies of stores, and the page in a real browser. */
const SHARED = [
  'packages/testing/src/servers/start-{aiosmtpd,pgbouncer,redis-*}.ts',
  'infra/browser',
  'apps/*/test/journeys.ts',
  CATCHER,
]

/**
 * The tests of the packages and the rooms of infra that came with the starter, by name: what a team has made is its own. Tests of the
 * team's apps and manifests stay: what migrations say, whether a bundle runs, mistakes in manifests.
 */
const TESTS = [
  'packages/{build,calls,config,database,idempotency,limits,mail,page,queue,service,session,testing}/test',
  'infra/{deploy,dev,generator}/test',
  'infra/test/{forgotten-await,idempotency,stores}',
  'infra/{check,check/lint,install,jobs,prove,test}/*.test.ts',
  'infra/test/run-command.ts',
  'packages/testing/src/to-database.ts',
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
  idempotency: {
    about: 'idempotency keys: a POST that a client may repeat. No service of the starter has one',
    paths: ['packages/idempotency', 'infra/test/idempotency'],
    scripts: [],
    topic: '(?:safe to repeat|ROUTE_IDEMPOTENCY)',
  },
  queue: {
    about: 'jobs: workers that run them, and pnpm jobs. Mails and the example need it',
    paths: [
      'packages/queue',
      'docs/decisions/0002-queue.md',
      'infra/jobs',
      'infra/generator/templates/{queue,queue-session,worker}',
      'apps/migrate/test/moves.long.test.ts',
    ],
    scripts: ['jobs'],
    topic: '(?:`(?:(?:http\\+)?worker|queue)`|background job)',
  },
  calls: {
    about: 'calls from one service to another, which go on when processes die',
    paths: [
      'packages/calls/src/{accept-calls,call,retry-budget,service-token}.ts',
      'packages/calls/test',
      'packages/testing/src/start-callees.ts',
    ],
    scripts: [],
    topic: 'CALL_SECRETS',
  },
  mail: {
    about: 'mails: a confirmed email, a forgotten password, notices to the owner of an account',
    paths: [
      'packages/mail',
      'apps/accounts/src/{domain/{change-email,mailed-link,mails,recovery},jobs/send-mail,routes/mailed-links}.ts',
      'apps/accounts/src/{start-jobs,worker,worker-env}.ts',
      'apps/accounts/{page/mailed-links,test/mailed-links.test,test/journeys}.ts',
      'infra/dev/{serve-mails,test/serve-mails.test}.ts',
      'packages/testing/src/servers/start-aiosmtpd.ts',
      CATCHER,
    ],
    scripts: [],
    topic: 'startMailCatcher',
    processes: ['accounts-worker'],
    tables: ['apps/accounts/migrations/20261130130000_mailed_links'],
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
  /** Process types that nothing but this part needs. */
  processes?: readonly string[]
  /** Migrations. Only the first run removes them: after it they may have made tables somewhere. */
  tables?: readonly string[]
}

/** The tests and measurements of the starter itself. No clone keeps them. */
const STARTER: Room = {
  paths: ['infra/starter', 'apps/*/test/starter', 'infra/generator/adopted'],
  scripts: ['verify', 'bench'],
}

/** Files of the starter that a team has its own versions of. Only the first run removes them. */
const OURS = ['.ci', 'LICENSE']

/** The files with the name of the product: of images, namespace, database and hosts, and on the page. */
const NAMED = [
  'apps/web/page/{index.html,main.ts}',
  'infra/deploy/**/*.{ts,yaml}',
  'infra/deploy/image/Dockerfile',
  'docs/{architecture,operations}.md',
  '.github/workflows/release.yml',
]
/** Labels and metrics keep the name of the starter, because `packages` have it too. */
const NAME = /nonstick(?!\/(?:stage|needs)|_(?:queue|check))/gi

/** Blocks in these say which tables there are, so only the first run cuts them. */
const SCHEMAS = ['apps/*/schema.prisma']

/** The files that may have blocks or rows about a part. Each is a path or a pattern. */
const DOCUMENTS = [
  'docs/**/*.md',
  'README.md',
  '{apps,packages}/*/README.md',
  'infra/generator/README.md',
  '.github/workflows/*.yml',
  '{infra/deploy,infra/dev,infra/test,{apps,packages}/*/{src,page,test}}/**/*.ts',
  'infra/deploy/kubernetes/overlays/**/*.yaml',
]
const SETTINGS = ['tsconfig.json', 'turbo.json', 'renovate.json', '.oxfmtrc.json']

export interface Adoption {
  /** The name of the team's repository, as `shop`. */
  name: string
  keep: readonly PartName[]
  /** The release of the starter that was cloned, or its commit. */
  origin: string
  /** Apps that are retired before, and may still be there in a dry run. */
  retired: readonly string[]
}

/**
 * Makes a clone of the starter a team's own: removes the tests of the starter itself, and each part that is not kept. The
 * first run also writes a README, a CI and a notice of the licence. A later run removes more, or what a merge brought back; it
 * keeps tables, and their migrations, which a database may have.
 */
export async function planAdoption(root: string, { name, keep, origin, retired }: Adoption): Promise<Change> {
  const isFirst = !existsSync(join(root, 'NOTICE'))
  const going: Room[] = [
    STARTER,
    ...Object.entries(parts).flatMap(([part, room]) => (keep.includes(part as PartName) ? [] : [room])),
  ]
  const kept: string[] = keep.flatMap((part) => parts[part].paths)
  const onlyNow = isFirst ? [...OURS, ...going.flatMap((part) => part.tables ?? [])] : []
  const patterns = [...going.flatMap((part) => part.paths), ...onlyNow].filter((path) => !kept.includes(path))
  const paths = listPaths(root, patterns)
  // A merge may have brought rows back about what is not there any more.
  const spelled = patterns.filter((path) => /^[\w./-]+$/.test(path))
  const scripts = going.flatMap((part) => part.scripts)
  const topics = going.flatMap((part) => part.topic ?? [])
  const files = new Map<string, string>()

  for (const file of listPaths(root, [...DOCUMENTS, ...(isFirst ? SCHEMAS : [])])) {
    if (isWithin(file, paths)) continue
    const text = read(root, file)
    const cut = withoutBlocks(text, keep)
    const left = withoutRows(cut === text ? cut : withoutIdleImports(cut), scripts, spelled, topics)
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
    files.set(
      'NOTICE',
      `${name} began as a clone of Nonstick ${origin}, which has this licence:\n\n${read(root, 'LICENSE')}`,
    )
  }
  const manifest = JSON.parse(read(root, 'package.json')) as Manifest & { license?: string }
  const useful = Object.entries(manifest.scripts ?? {}).filter(([script]) => !scripts.includes(script))
  if (isFirst) delete manifest.license
  files.set('package.json', JSON.stringify({ ...manifest, name, scripts: Object.fromEntries(useful) }))
  const lockfile = trimMembers(root, paths, files, retired)
  // What has gone before has no processes any more. What a team has declared since is its own.
  const leaving = going.filter((part) => part.processes && listPaths(root, part.paths).length > 0)
  const derived = await withoutProcesses(
    root,
    leaving.flatMap(({ processes = [] }) => processes),
    files,
  )

  const title = name[0]!.toUpperCase() + name.slice(1).replaceAll('-', ' ')
  const named = (text: string): string => text.replace(NAME, (found) => (found === 'Nonstick' ? title : name))
  for (const file of listPaths(root, NAMED).filter((path) => !isWithin(path, paths)))
    files.set(file, named(files.get(file) ?? read(root, file)))

  const formatted = await formatFiles(root, files)
  const left = derived.filter((step) => !isWithin(pathOf(step), paths))
  for (const step of left) if ('write' in step) formatted.set(step.write, named(step.content))
  return {
    steps: [
      ...paths.map((path) => ({ remove: path })),
      ...[...formatted].flatMap(([path, content]) => writeOf(root, path, content)),
      ...left.filter((step) => 'remove' in step),
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
      exclude: (path) => /(^|\/)(node_modules|templates)$/.test(path) && !pattern.includes('/templates/'),
    }).toSorted(),
  )
  const isInside = (path: string): boolean => paths.some((other) => path.startsWith(`${other}/`))
  return [...new Set(paths)].filter((path) => !isInside(path))
}

/** Removes what members no longer need from their manifests: dependencies, exports and scripts. */
function trimMembers(
  root: string,
  paths: readonly string[],
  files: Map<string, string>,
  retired: readonly string[],
): Step[] {
  const before = read(root, 'pnpm-lock.yaml')
  const isMember = (path: string): boolean => existsSync(join(root, path, 'package.json'))
  let content = paths.filter(isMember).reduce(removeImporter, before)
  for (const folder of ['infra', ...globSync('{apps,packages}/*', { cwd: root }).toSorted()]) {
    if ([...retired, ...paths].includes(folder)) continue
    if (![...paths, ...files.keys()].some((path) => path.startsWith(`${folder}/`))) continue
    const manifest = JSON.parse(read(root, `${folder}/package.json`)) as Manifest
    const isGone = (path: string): boolean => isWithin(`${folder}/${path}`, paths)
    const sources = new Map(
      [...readFolder(join(root, folder))].filter(
        ([path]) => path.endsWith('.ts') && !path.startsWith('generator/templates/'),
      ),
    )
    const left = [...sources].flatMap(([path, text]) =>
      isGone(path) ? [] : [[path, files.get(`${folder}/${path}`) ?? text] as const],
    )
    const next = trimManifest(manifest, sources, new Map(left), isGone)
    const gone = Object.keys(next.dependencies ?? {}).find((name) =>
      paths.includes(name.replace('@repo/', 'packages/')),
    )
    if (gone) throw new Refusal(`${folder} needs ${gone}: keep ${gone.replace('@repo/', '')}.`)
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

function trimManifest(
  manifest: Manifest,
  before: Files,
  left: Files,
  isGone: (path: string) => boolean,
): Manifest {
  const next = structuredClone(manifest)
  const { scripts = {}, exports = {} } = next
  if (![...left.keys()].some((path) => path.endsWith('.test.ts'))) delete scripts.test
  for (const [name, command] of Object.entries(scripts))
    if (command.split(' ').some(isGone)) delete scripts[name]
  for (const [name, path] of Object.entries(exports)) if (isGone(posix.normalize(path))) delete exports[name]
  for (const kind of ['dependencies', 'devDependencies'] as const) {
    const declared = next[kind] ?? {}
    const [needed, still] = [before, left].map((files) => dependenciesOf(files, declared))
    // What only a script or generated code uses, no file has imported before either.
    for (const name of Object.keys(declared)) if (name in needed! && !(name in still!)) delete declared[name]
    const isTypeless = (name: string): boolean =>
      name.startsWith('@types/') && !(name.slice('@types/'.length) in { ...next.dependencies, ...declared })
    for (const name of Object.keys(declared).filter(isTypeless)) delete declared[name]
    if (Object.keys(declared).length === 0) delete next[kind]
  }
  if (Object.keys(scripts).length === 0) delete next.scripts
  return next
}

/** Removes the declarations of process types. Returns what brings the rendered files up to date. */
async function withoutProcesses(
  root: string,
  names: readonly string[],
  files: Map<string, string>,
): Promise<Step[]> {
  const steps: Step[] = []
  for (const folder of globSync('apps/*', { cwd: root })) {
    const path = `${folder}/package.json`
    if (!existsSync(join(root, path))) continue
    const manifest = JSON.parse(files.get(path) ?? read(root, path)) as Manifest
    const { processes = {}, scripts = {} } = manifest
    const left = Object.fromEntries(Object.entries(processes).filter(([name]) => !names.includes(name)))
    if (Object.keys(left).length === Object.keys(processes).length) continue
    const isGone = (word: string): boolean => word in processes && !(word in left)
    const dev = scripts.dev?.split(' ').filter((word) => !isGone(word))
    const next = { ...manifest, scripts: { ...scripts, ...(dev && { dev: dev.join(' ') }) }, processes: left }
    files.set(path, JSON.stringify(next))
    const own = [...files].filter(([file]) => file.startsWith(`${folder}/`))
    const changed = new Map(own.map(([file, text]) => [file.slice(folder.length + 1), text]))
    steps.push(...(await deriveWith(root, { folder, processes: left, files: changed, links: new Map() })))
  }
  return steps
}

function writeOf(root: string, path: string, content: string): Step[] {
  const before = existsSync(join(root, path)) ? read(root, path) : undefined
  return before === content ? [] : [{ write: path, content, before }]
}

function read(root: string, path: string): string {
  return readFileSync(join(root, path), 'utf8')
}
