import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { overridesOf } from '../deploy/find-drift.ts'
import { readFormation } from '../formation.ts'
import { Refusal, type Change, type Step } from './change.ts'
import { deriveWithout } from './derived-files.ts'
import { droppedPackages, removeImporter } from './lockfile.ts'
import { snakeCase } from './names.ts'
import { listFiles, readFolder } from './template.ts'

const CATALOG = 'pnpm-workspace.yaml'
const README = 'README.md'

/**
 * Plans the removal of an app or a package: its folder, and what is derived from it. Its schemas and role in a database stay
 * until somebody drops them.
 *
 * @throws {Refusal} while something depends on it; the message lists the places
 */
export async function planRetirement(root: string, folder: string): Promise<Change> {
  const name = folder.split('/')[1]!
  const dependents = [...findCallers(root, folder), ...findDependents(root, folder)]
  if (dependents.length > 0) {
    throw new Refusal(`${name} is still needed:\n${dependents.map((place) => `  ${place}`).join('\n')}`)
  }
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  const left = removeImporter(lockfile, folder)
  const steps: Step[] = [
    // The app first: `pnpm dev` stops its processes before its tables are dropped.
    { remove: folder },
    ...(await deriveWithout(root, folder)),
    { write: 'pnpm-lock.yaml', content: left, before: lockfile },
    ...withoutVersions(root, droppedPackages(lockfile, left)),
    ...withoutRequests(root, name),
  ]
  return { steps, notes: [], ...leavingsOf(root, folder) }
}

/** Removes the catalog's lines and overrides of packages that no member uses any more. pnpm removes what the lockfile has of them. */
export function withoutVersions(root: string, names: readonly string[]): Step[] {
  const before = readFileSync(join(root, CATALOG), 'utf8')
  // An override goes with the package whose dependency it is, and until then needs the version of the other.
  const needed = overridesOf(before).flatMap(([parent, name]) => (names.includes(parent) ? [] : [name]))
  const isGone = (line: string): boolean => {
    const name = /^ {2}"?([^":>]+)(?:>[^":>]+)?"?: \S+(?: #.*)?$/.exec(line)?.[1] ?? ''
    return names.includes(name) && !needed.includes(name)
  }
  const content = before
    .split('\n')
    .filter((line) => !isGone(line))
    .join('\n')
  return content === before ? [] : [{ write: CATALOG, content, before }]
}

/** Removes the requests to the app from the README's quick start. */
function withoutRequests(root: string, name: string): Step[] {
  const before = readFileSync(join(root, README), 'utf8')
  const request = new RegExp(`^say .*/api/${name}\\b`)
  const content = before
    .split('\n')
    .filter((line) => !request.test(line))
    .join('\n')
  return content === before ? [] : [{ write: README, content, before }]
}

/** The SQL that drops the app's tables, jobs and role from a database. */
function leavingsOf(root: string, folder: string): { leavings?: string } {
  const manifest = readFileSync(join(root, folder, 'package.json'), 'utf8')
  const { processes = {} } = JSON.parse(manifest) as { processes?: Record<string, { needs?: string[] }> }
  if (!Object.values(processes).some(({ needs = [] }) => needs.includes('database'))) return {}
  const schema = snakeCase(folder.split('/')[1]!)
  return {
    leavings: `DROP SCHEMA IF EXISTS "${schema}", "${schema}_queue" CASCADE;
DO $$ BEGIN EXECUTE format('DROP ROLE IF EXISTS %I', current_database() || '_${schema}'); END $$;`,
  }
}

/** The process types of other apps that call one of this app. */
function findCallers(root: string, folder: string): string[] {
  const { running } = readFormation(root)
  const own = running.filter(({ app }) => app === folder).map(({ name }) => name)
  return running.flatMap(({ app, name, calls }) =>
    app === folder
      ? []
      : calls
          .filter((callee) => own.includes(callee))
          .map((callee) => `${app}/package.json  ${name} calls ${callee}`),
  )
}

/** Where others name it: its npm name, its route, its jobs, and in tests the folder of an app whose processes they start. */
function findDependents(root: string, folder: string): string[] {
  const name = folder.split('/')[1]!
  const words = [`@repo/${name}(?=['"/#])`, ...(folder.startsWith('apps/') ? ownWords(root, folder) : [])]
  const pattern = new RegExp(words.join('|'))
  const started = new RegExp([...words, `(?:\\.\\./\\.\\.|apps)/${name}(?=['"\`/])`].join('|'))
  const isTest = (path: string): boolean => folder.startsWith('apps/') && path.includes('/test/')
  return listMembers(root)
    .filter((member) => member !== folder)
    .flatMap((member) => listFiles(join(root, member)).map((path) => `${member}/${path}`))
    .filter(mayDepend)
    .flatMap((path) =>
      placesIn(path, readFileSync(join(root, path), 'utf8'), isTest(path) ? started : pattern),
    )
}

/** Whether a file may depend on a member. Tests of infra do not: they make the services that they name. */
function mayDepend(path: string): boolean {
  const isOwnHouse = /^infra\/(?:starter\/|.+\.test\.ts$|(?:.+\/)?test\/)/.test(path)
  return /\.ts$|\/(?:package|turbo)\.json$/.test(path) && !isOwnHouse
}

function placesIn(path: string, text: string, pattern: RegExp): string[] {
  if (!pattern.test(text)) return []
  const lines = text.split('\n').map((line, index) => ({ line: line.trim(), number: index + 1 }))
  return lines
    .filter(({ line }) => pattern.test(line) && !/^(\*|\/[*/])/.test(line))
    .map(({ line, number }) => `${path}:${number}  ${line}`)
}

function listMembers(root: string): string[] {
  const parents = ['apps', 'packages'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((entry) => `${parent}/${entry}`),
  )
  return [...parents, 'infra'].filter((member) => existsSync(join(root, member, 'package.json')))
}

function ownWords(root: string, folder: string): string[] {
  const files = readFolder(join(root, folder))
  const { processes = {} } = JSON.parse(files.get('package.json')!) as {
    processes?: Record<string, { route?: string }>
  }
  const routes = Object.values(processes).flatMap(({ route }) =>
    route && route !== '/' ? [`['"\`]${route}(?=['"\`/?])`] : [],
  )
  const source = [...files].filter(([path]) => path.startsWith('src/')).map(([, text]) => text)
  const jobs = source.flatMap((text) =>
    [...text.matchAll(/defineJob\(\{\s*name: '([^']+)'/g)].map(([, job]) => `'${job}'`),
  )
  return [...routes, ...jobs]
}
