import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compareFloorPlan } from './floor-plan.ts'
import { findUnhashedApps } from './find-unhashed-apps.ts'

/** One broken rule: the file, and what to do instead. */
export type Violation = { file: string; problem: string }

type Manifest = {
  dependencies?: Record<string, string>
  devDependencies?: Record<string, string>
  processes?: Record<string, { calls?: string[] }>
}
type Member = { folder: string; name: string; kind: 'app' | 'package' | 'infra'; manifest: Manifest }
type Source = { file: string; member: Member; text: string; imports: string[]; isTest: boolean }

const saysNothing = new Set([
  'utils',
  'util',
  'helpers',
  'common',
  'shared',
  'lib',
  'core',
  'misc',
  'types',
  'constants',
])
const skipped = new Set(['node_modules', 'dist', '.turbo', 'bench', 'browser'])
const starter = join('infra', 'starter', sep)

/** Files of an app that commands of infra run. They may import from infra. test/starter is removed with infra/starter. */
const isRunByInfra = /^apps\/[^/]+\/test\/(?:journeys\.ts$|prove\/|starter\/)/
const goesWithStarter = /^(?:infra|apps\/[^/]+\/test)\/starter\//

/**
 * Checks the structure of the repository: which imports are allowed, and which file names.
 * Each rule is a sentence of docs/architecture.md.
 *
 * @returns every violation, those of the floor plan last
 */
export function findViolations(root: string): Violation[] {
  const members = listMembers(root)
  const ofMembers = members.flatMap((member) => {
    const sources = listSources(root, member)
    return [
      ...sources
        .filter(isWritten)
        .flatMap((source) => [
          ...nameProblems(source),
          ...importProblems(source),
          ...appProblems(root, source),
          ...domainProblems(source),
        ]),
      ...manifestProblems(root, member, sources),
      ...cacheProblems(root, member, sources, members),
    ]
  })
  return [...ofMembers, ...compareFloorPlan(root)]
}

function isWritten({ file }: Source): boolean {
  return !file.split(sep).includes('generated')
}

function* nameProblems({ file }: Source): Generator<Violation> {
  for (const part of file.split(sep).map((part) => basename(part, '.ts'))) {
    if (saysNothing.has(part))
      yield { file, problem: `"${part}" says nothing about what is inside: name it after its content` }
  }
}

function* importProblems({ file, member, imports, isTest }: Source): Generator<Violation> {
  for (const specifier of imports) {
    if (specifier.startsWith('.')) {
      const target = resolve('/', dirname(file), specifier).slice(1)
      const own = target.startsWith(member.folder + sep)
      const isAtRoot = !target.includes(sep)
      const isGiven = target.startsWith(`infra${sep}`) && isRunByInfra.test(file)
      if (!own && !isAtRoot && !isGiven)
        yield { file, problem: `"${specifier}" reaches into another member: import it by its package name` }
      if (target.startsWith(starter) && !goesWithStarter.test(file))
        yield {
          file,
          problem: `infra/starter goes when a team adopts its clone, and this imports "${specifier}"`,
        }
    } else if (specifier.startsWith('@repo/')) {
      const target = specifier.split('/').slice(0, 2).join('/')
      const mayTest = isTest && target === '@repo/testing'
      if (member.kind === 'package' && target !== member.name && !mayTest) {
        yield {
          file,
          problem: `packages are leaves, and this imports ${target}: state the shape it needs structurally`,
        }
      }
      if (target === '@repo/testing' && member.kind === 'app' && !isTest) {
        yield { file, problem: 'only tests import @repo/testing' }
      }
    }
  }
}

/** A package must not name an app, because a clone may have retired it. Its tests may name the one that they start. */
function* appProblems(root: string, { file, member, text, isTest }: Source): Generator<Violation> {
  if (member.kind !== 'package' || isTest) return
  const words = withoutComments(text)
  for (const app of listFolders(join(root, 'apps')))
    if (new RegExp(`\\bapps/${app}\\b|@repo/${app}\\b`).test(words))
      yield { file, problem: `packages name no app, and this names ${app}: ask what each app declares` }
}

function* domainProblems({ file, imports, text }: Source): Generator<Violation> {
  if (!file.split(sep).includes('domain')) return
  if (
    imports.some((name) => name === 'fastify' || (name.startsWith('@fastify/') && name !== '@fastify/error'))
  ) {
    yield { file, problem: 'domain/ imports no Fastify: HTTP words belong in routes/' }
  }
  if (
    imports.some((name) => /^(node:)?process$/.test(name)) ||
    /\bprocess\.(?!nextTick)\w/.test(withoutComments(text))
  ) {
    yield { file, problem: 'domain/ knows no process: pass the value in' }
  }
}

function* manifestProblems(root: string, member: Member, sources: Source[]): Generator<Violation> {
  const file = join(member.folder, 'package.json')
  const { dependencies = {}, devDependencies = {} } = member.manifest
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    if (member.kind === 'app' && existsMember(root, 'apps', name)) {
      yield { file, problem: `apps import no app, and this depends on ${name}` }
    }
  }
  for (const name of Object.keys(dependencies)) {
    // The quoted name is enough, also without an import: a file may ask for the path of a package.
    const isUsed =
      sources.some(({ text }) =>
        [`'${name}'`, `'${name}/`, `"${name}`].some((used) => text.includes(used)),
      ) ||
      // The generated client imports it, and may not be generated yet.
      (name === '@prisma/client' && existsSync(join(root, member.folder, 'schema.prisma')))
    if (!isUsed) yield { file, problem: `${name} is a dependency that no file imports` }
  }
}

/** Turbo must hash the apps that a test starts. Otherwise the test passes from the cache while such an app is broken. */
function* cacheProblems(
  root: string,
  member: Member,
  sources: Source[],
  members: readonly Member[],
): Generator<Violation> {
  const tests = sources.filter(({ isTest }) => isTest).map(({ text }) => withoutComments(text))
  // A test that starts an app also starts the services that it calls.
  const calls = Object.values(member.manifest.processes ?? {}).flatMap((declared) => declared.calls ?? [])
  const callees = members.filter(({ manifest }) => calls.some((name) => manifest.processes?.[name]))
  const named = tests.length > 0 ? callees.map(({ folder }) => folder.replaceAll(sep, '/')) : []
  for (const app of findUnhashedApps(root, member, [...tests, ...named], listFolders(join(root, 'apps')))) {
    const dependsOn = `"dependsOn": ["$TURBO_EXTENDS$", "@repo/${app}#sources"]`
    const problem =
      `its tests start apps/${app}, and pass from turbo's cache while that is broken. ` +
      `Write { "extends": ["//"], "tasks": { "test": { ${dependsOn} } } }`
    yield { file: join(member.folder, 'turbo.json'), problem }
  }
}

function existsMember(root: string, kind: string, name: string): boolean {
  return listFolders(join(root, kind)).some((folder) => `@repo/${folder}` === name)
}

function listMembers(root: string): Member[] {
  const of = (parent: string, kind: Member['kind']) =>
    listFolders(join(root, parent)).map((folder) => readMember(root, join(parent, folder), kind))
  return [
    ...of('apps', 'app'),
    ...of('packages', 'package'),
    ...listTemplates(root),
    readMember(root, 'infra', 'infra'),
  ]
}

/** The generator's templates. They follow the rules for the apps and packages that are made from them. */
function listTemplates(root: string): Member[] {
  const parent = join('infra', 'generator', 'templates')
  if (!existsSync(join(root, parent))) return []
  return listFolders(join(root, parent))
    .map((folder) => join(parent, folder))
    .map((folder) => readMember(root, folder, folder.endsWith(`${sep}package`) ? 'package' : 'app'))
}

function readMember(root: string, folder: string, kind: Member['kind']): Member {
  const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')) as Manifest & {
    name: string
  }
  return { folder, name: manifest.name, kind, manifest }
}

/** The members in a folder. Of a member that a merge removed, its ignored files are left, as node_modules. */
function listFolders(path: string): string[] {
  return readdirSync(path)
    .filter((name) => existsSync(join(path, name, 'package.json')))
    .sort()
}

function listSources(root: string, member: Member): Source[] {
  const walk = (folder: string): string[] =>
    readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      // A member inside a member, as a template, is checked by itself.
      if (skipped.has(entry.name) || existsSync(join(root, path, 'package.json'))) return []
      return entry.isDirectory() ? walk(path) : entry.name.endsWith('.ts') ? [path] : []
    })
  return walk(member.folder).map((file) => {
    const text = readFileSync(join(root, file), 'utf8')
    const isTest = file.endsWith('.test.ts') || relative(member.folder, file).split(sep).includes('test')
    return { file, member, text, imports: listImports(text), isTest }
  })
}

// A regular expression is enough here: oxfmt gives every import the same shape, and tsc refuses what is no import.
function listImports(text: string): string[] {
  const pattern =
    /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm
  return [...withoutComments(text).matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3])!)
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '')
}

if (import.meta.main) {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const violations = findViolations(root)
  for (const { file, problem } of violations) console.error(`${file}: ${problem}`)
  if (violations.length > 0) process.exitCode = 1
}
