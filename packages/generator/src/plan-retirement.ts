import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Change, Step } from './change.ts'
import { Refusal } from './choose-template.ts'
import { formatFiles } from './format-files.ts'
import { removeImporter, usedByNobodyElse } from './lockfile.ts'
import { listFiles, readFolder } from './read-template.ts'

const MIGRATIONS = 'packages/database/migrations'
const CATALOG = 'pnpm-workspace.yaml'
const README = 'README.md'
const DATABASE_DOOR = 'packages/database/src/index.ts'

/** What is known of what is retired. */
export interface Retirement {
  /** As `apps/orders`. */
  folder: string
  /** An example that came with the starter: what is on the starter's branches has not been applied anywhere by that. */
  isExample: boolean
}

/**
 * Takes an app or a package away, with its tables and with every other folder `apps/<name>`, which is its part of the
 * page, of tests and the like. A migration that somebody else may have applied stays: it is on a branch of a remote, or
 * in a release, and a database that has it must find it.
 *
 * @throws {Refusal} while something depends on it, naming the places
 */
export async function planRetirement(
  root: string,
  { folder, isExample }: Retirement,
  derive: (folder: string) => Promise<Step[]>,
): Promise<Change> {
  const name = folder.split('/')[1]!
  const parts = findParts(root, folder)
  const dependents = findDependents(root, [folder, ...parts])
  if (dependents.length > 0) {
    throw new Refusal(`${name} is still needed:\n${dependents.map((place) => `  ${place}`).join('\n')}`)
  }
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  const schema = `packages/database/schema/${name}.prisma`
  const hasTables = existsSync(join(root, schema)) && folder.startsWith('apps/')
  const migrations = hasTables
    ? findMigrations(root, schema, isExample)
    : { own: [], released: [], shared: [] }
  const steps: Step[] = [
    // The app first: by the time its tables go, nobody asks for them.
    ...[folder, ...parts].map((path) => ({ remove: path })),
    ...(await derive(folder)),
    { write: 'pnpm-lock.yaml', content: removeImporter(lockfile, folder), before: lockfile },
    ...withoutVersions(root, usedByNobodyElse(lockfile, folder)),
    ...withoutRequests(root, name),
    ...migrations.own.map((migration) => ({ remove: `${MIGRATIONS}/${migration}` })),
    ...(hasTables ? [{ remove: schema }, ...(await withoutModels(root, schema))] : []),
  ]
  return { steps, notes: notesOn(migrations, name), ...leavingsOf(root, schema, migrations) }
}

/** Folders `apps/<name>` that are not the app itself. One that is alone in its `apps` goes with that. */
function findParts(root: string, folder: string): string[] {
  if (!folder.startsWith('apps/')) return []
  const paths = ['apps', 'packages', 'infra', 'docs']
    .filter((top) => existsSync(join(root, top)))
    .flatMap((top) => listFiles(join(root, top)).map((path) => `${top}/${path}`))
  const inside = new RegExp(`^.+?/${folder}(?=/)`)
  const parts = new Set(paths.flatMap((path) => inside.exec(path)?.[0] ?? []))
  return [...parts].map((part) => {
    const isAlone = readdirSync(join(root, dirname(part))).length === 1
    return isAlone ? dirname(part) : part
  })
}

function notesOn({ own, released, shared }: Migrations, name: string): string[] {
  const drop = `pnpm migrate new drop_${name.replaceAll('-', '_')}`
  return [
    ...released.map(
      (migration) =>
        `${migration} stays: it is on a branch or in a release that others have. Drop its tables with ${drop}`,
    ),
    ...shared.map(
      (migration) => `${migration} stays: it changes tables of others as well. Drop its tables with ${drop}`,
    ),
    ...own.map((migration) => `${migration} goes: no release of yours has it.`),
  ]
}

/** The catalog's lines of packages that nobody uses any more. What hangs on them in the lockfile is pnpm's to tidy up. */
function withoutVersions(root: string, names: readonly string[]): Step[] {
  const before = readFileSync(join(root, CATALOG), 'utf8')
  const lines = before
    .split('\n')
    .filter((line) => !names.includes(/^ {2}"?([^":]+)"?: \S+$/.exec(line)?.[1] ?? ''))
  const content = lines.join('\n')
  return content === before ? [] : [{ write: CATALOG, content, before }]
}

/** The requests to it in the README's quick start. */
function withoutRequests(root: string, name: string): Step[] {
  const before = readFileSync(join(root, README), 'utf8')
  const request = new RegExp(`^say .*/api/${name}\\b`)
  const content = before
    .split('\n')
    .filter((line) => !request.test(line))
    .join('\n')
  return content === before ? [] : [{ write: README, content, before }]
}

/** Only where no migration stays that would find its tables gone. */
function leavingsOf(
  root: string,
  schema: string,
  { own, released, shared }: Migrations,
): { leavings?: string } {
  if (own.length === 0 || released.length + shared.length > 0) return {}
  const { tables, types } = namesIn(readFileSync(join(root, schema), 'utf8'))
  const sql = own
    .map((name) => readFileSync(join(root, MIGRATIONS, name, 'migration.sql'), 'utf8'))
    .join('\n')
  const functions = [...sql.matchAll(/^CREATE FUNCTION "(\w+)"/gm)].map(([, name]) => name!)
  return {
    leavings: [
      tables.length > 0 && `DROP TABLE IF EXISTS ${quoted(tables)};`,
      types.length > 0 && `DROP TYPE IF EXISTS ${quoted(types)};`,
      functions.length > 0 && `DROP FUNCTION IF EXISTS ${quoted(functions)};`,
      `DELETE FROM _prisma_migrations WHERE migration_name IN (${own.map((name) => `'${name}'`).join(', ')});`,
    ]
      .filter(Boolean)
      .join('\n'),
  }
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

/** What the models and enumerations of a schema file are called in the database. */
function namesIn(schema: string): { tables: string[]; types: string[] } {
  const blocks = [...schema.matchAll(/^(model|enum) (\w+) \{([^]*?)^\}/gm)].map(([, kind, name, body]) => ({
    kind,
    name: /@@map\("([^"]+)"\)/.exec(body!)?.[1] ?? name!,
  }))
  const of = (wanted: string): string[] => blocks.flatMap(({ kind, name }) => (kind === wanted ? [name] : []))
  return { tables: of('model'), types: of('enum') }
}

/** The door of the database names the models that somebody asked it for; those of this file it can name no more. */
async function withoutModels(root: string, schema: string): Promise<Step[]> {
  const text = readFileSync(join(root, schema), 'utf8')
  const models = [...text.matchAll(/^(?:model|enum) (\w+)/gm)].map(([, model]) => model!)
  const before = readFileSync(join(root, DATABASE_DOOR), 'utf8')
  const without = before.replace(/(?<=^export type \{)[^}]+(?=\})/m, (names) =>
    names
      .split(',')
      .filter((name) => !models.includes(name.trim()))
      .join(','),
  )
  if (without === before) return []
  const [content] = (await formatFiles(root, new Map([[DATABASE_DOOR, without]]))).values()
  return [{ write: DATABASE_DOOR, content: content!, before }]
}

interface Migrations {
  own: string[]
  released: string[]
  shared: string[]
}

/** The migrations that touch the tables of this schema file, and what becomes of them. */
function findMigrations(root: string, schema: string, isExample: boolean): Migrations {
  const { tables, types } = namesIn(readFileSync(join(root, schema), 'utf8'))
  const names = new Set([...tables, ...types])
  const found: Migrations = { own: [], released: [], shared: [] }
  for (const migration of readdirSync(join(root, MIGRATIONS))) {
    const path = `${MIGRATIONS}/${migration}`
    if (!existsSync(join(root, path, 'migration.sql'))) continue
    const sql = readFileSync(join(root, path, 'migration.sql'), 'utf8')
    const touched = [...sql.matchAll(/\b(?:TABLE|TYPE|ON|INTO|UPDATE|REFERENCES)\s+"([^"]+)"/g)].map(
      ([, table]) => table!,
    )
    if (!touched.some((table) => names.has(table))) continue
    if (!isExample && isReleased(root, path)) found.released.push(migration)
    else if (touched.every((table) => names.has(table))) found.own.push(migration)
    else found.shared.push(migration)
  }
  return found
}

function isReleased(root: string, path: string): boolean {
  try {
    const args = ['log', '--remotes', '--tags', '-1', '--format=%h', '--', path]
    return (
      execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }) !== ''
    )
  } catch {
    // Where there is no git, nobody can tell.
    return true
  }
}

/** Where others name it: its npm name, its route, its jobs. */
function findDependents(root: string, [folder, ...parts]: [string, ...string[]]): string[] {
  const name = folder.split('/')[1]!
  const words = [`@repo/${name}(?=['"/#])`, ...(folder.startsWith('apps/') ? ownWords(root, folder) : [])]
  const pattern = new RegExp(words.join('|'))
  return listMembers(root)
    .filter((member) => member !== folder)
    .flatMap((member) => listFiles(join(root, member)).map((path) => `${member}/${path}`))
    .filter((path) => mayDepend(path) && !parts.some((part) => path.startsWith(`${part}/`)))
    .flatMap((path) => placesIn(path, readFileSync(join(root, path), 'utf8'), pattern))
}

/** A test of infra that names a service has made one of that name for itself. */
function mayDepend(path: string): boolean {
  return /\.ts$|\/(?:package|turbo)\.json$/.test(path) && !/^infra\/.+\.test\.ts$/.test(path)
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
