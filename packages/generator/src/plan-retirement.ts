import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Change, Step } from './change.ts'
import { Refusal } from './choose-template.ts'
import { removeImporter, usedByNobodyElse } from './lockfile.ts'
import { listFiles, readFolder } from './read-template.ts'

const MIGRATIONS = 'packages/database/migrations'
const DATABASE_DOOR = 'packages/database/src/index.ts'

/**
 * Takes an app or a package away, with its tables. A migration that somebody else may have applied stays: it is on a
 * branch of a remote, or in a release, and a database that has it must find it.
 *
 * @param folder as `apps/orders`
 * @throws {Refusal} while something depends on it, naming the places
 */
export async function planRetirement(
  root: string,
  folder: string,
  derive: (folder: string) => Promise<Step[]>,
): Promise<Change> {
  const name = folder.split('/')[1]!
  const dependents = findDependents(root, folder)
  if (dependents.length > 0) {
    throw new Refusal(`${name} is still needed:\n${dependents.map((place) => `  ${place}`).join('\n')}`)
  }
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  const schema = `packages/database/schema/${name}.prisma`
  const hasTables = existsSync(join(root, schema)) && folder.startsWith('apps/')
  const { own, released, shared } = hasTables
    ? findMigrations(root, schema)
    : { own: [], released: [], shared: [] }
  const steps: Step[] = [
    // The app first: by the time its tables go, nobody asks for them.
    { remove: folder },
    ...(await derive(folder)),
    { write: 'pnpm-lock.yaml', content: removeImporter(lockfile, folder), before: lockfile },
    ...own.map((migration) => ({ remove: `${MIGRATIONS}/${migration}` })),
    ...(hasTables ? [{ remove: schema }, ...withoutModels(root, schema)] : []),
  ]
  return { steps, notes: [...notesOn(own, released, shared, name), ...noteOnLockfile(lockfile, folder)] }
}

function notesOn(own: string[], released: string[], shared: string[], name: string): string[] {
  const drop = `pnpm migrate new drop_${name.replaceAll('-', '_')}`
  return [
    ...released.map(
      (migration) =>
        `${migration} stays: it is on a branch or in a release that others have. Drop its tables with ${drop}`,
    ),
    ...shared.map(
      (migration) => `${migration} stays: it changes tables of others as well. Drop its tables with ${drop}`,
    ),
    ...own.map((migration) => `${migration} goes: nobody but this clone can have applied it.`),
  ]
}

function noteOnLockfile(lockfile: string, folder: string): string[] {
  const unused = usedByNobodyElse(lockfile, folder)
  return unused.length > 0
    ? [
        `Nobody else uses ${unused.join(', ')}: pnpm install --no-frozen-lockfile takes them out of pnpm-lock.yaml.`,
      ]
    : []
}

/** The door of the database names the models that somebody asked it for; those of this file it can name no more. */
function withoutModels(root: string, schema: string): Step[] {
  const text = readFileSync(join(root, schema), 'utf8')
  const models = [...text.matchAll(/^(?:model|enum) (\w+)/gm)].map(([, model]) => model!)
  const before = readFileSync(join(root, DATABASE_DOOR), 'utf8')
  const content = before.replaceAll(new RegExp(`^ {2}(${models.join('|')}),\n`, 'gm'), '')
  return content === before ? [] : [{ write: DATABASE_DOOR, content, before }]
}

interface Migrations {
  own: string[]
  released: string[]
  shared: string[]
}

/** The migrations that touch the tables of this schema file, and what becomes of them. */
function findMigrations(root: string, schema: string): Migrations {
  const text = readFileSync(join(root, schema), 'utf8')
  const tables = new Set([...text.matchAll(/@@map\("([^"]+)"\)/g)].map(([, table]) => table!))
  const found: Migrations = { own: [], released: [], shared: [] }
  for (const migration of readdirSync(join(root, MIGRATIONS))) {
    const path = `${MIGRATIONS}/${migration}`
    if (!existsSync(join(root, path, 'migration.sql'))) continue
    const sql = readFileSync(join(root, path, 'migration.sql'), 'utf8')
    const touched = [...sql.matchAll(/\b(?:TABLE|TYPE|ON|INTO|UPDATE|REFERENCES)\s+"([^"]+)"/g)].map(
      ([, table]) => table!,
    )
    if (!touched.some((table) => tables.has(table))) continue
    if (isReleased(root, path)) found.released.push(migration)
    else if (touched.every((table) => tables.has(table))) found.own.push(migration)
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
function findDependents(root: string, folder: string): string[] {
  const name = folder.split('/')[1]!
  const words = [`@repo/${name}(?=['"/])`, ...(folder.startsWith('apps/') ? ownWords(root, folder) : [])]
  const pattern = new RegExp(words.join('|'))
  return listMembers(root)
    .filter((member) => member !== folder)
    .flatMap((member) => listFiles(join(root, member)).map((path) => `${member}/${path}`))
    .filter((path) => /\.ts$|\/package\.json$/.test(path))
    .flatMap((path) => placesIn(path, readFileSync(join(root, path), 'utf8'), pattern))
}

function placesIn(path: string, text: string, pattern: RegExp): string[] {
  if (!pattern.test(text)) return []
  const lines = text.split('\n').map((line, index) => ({ line, number: index + 1 }))
  return lines
    .filter(({ line }) => pattern.test(line))
    .map(({ line, number }) => `${path}:${number}  ${line.trim()}`)
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
