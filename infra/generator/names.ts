import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFormation } from '../formation.ts'
import { Refusal } from './change.ts'

/** Why a name cannot be used, and a name that can. */
export interface NameProblem {
  reason: string
  suggestion?: string
}

/** Leaves room for `-worker` in a pod's DNS label, and for `_items_user_id_id_idx` in a Postgres identifier. */
const LONGEST = 30

const WORD = /^[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*$/

// The host names of backing services in a network of containers, the names of Windows devices, which exist in every folder,
// and the names of other schemas in a database (a queue has `<app>_queue`).
const OCCUPIED =
  /^(postgres|redis|valkey|memcached|localhost|con|prn|aux|nul|com\d|lpt\d|sessions|queue|extensions|public|information-schema|pg-.*|.*-queue)$/

/**
 * Why a service or a package cannot have this name; undefined when it can. The name is an npm name, a folder, a DNS label
 * and, with underscores, a schema in Postgres and the beginning of table names.
 *
 * @param taken names that are in use, and what uses them
 */
export function checkName(name: string, taken: ReadonlyMap<string, string>): NameProblem | undefined {
  const reason = findProblem(name, taken)
  if (!reason) return undefined
  const suggestion = suggest(name, taken)
  return suggestion ? { reason, suggestion } : { reason }
}

function findProblem(name: string, taken: ReadonlyMap<string, string>): string | undefined {
  if (name === '') return 'A name is missing.'
  if (/[/\\]|^\.+$/.test(name))
    return 'It is a path: apps live in apps/, packages in packages/, and nowhere else.'
  if (name !== name.toLowerCase()) return 'Host names and npm names are lower case.'
  if (/[^a-z0-9-]/.test(name))
    return 'A host name holds letters from a to z, digits and hyphens, and nothing else.'
  if (/^\d/.test(name)) return 'An identifier cannot begin with a digit.'
  if (!WORD.test(name))
    return 'Each of its words begins with a letter, and one hyphen stands between two of them.'
  if (name.length > LONGEST)
    return `It has ${name.length} characters, and longer names are built from it: ${LONGEST} at most.`
  if (OCCUPIED.test(name))
    return 'A backing service, what stands in it, or the operating system has that name already.'
  const owner = taken.get(name) ?? taken.get(`${name}-worker`)
  if (owner) return `It is taken: ${owner}.`
  return undefined
}

function suggest(name: string, taken: ReadonlyMap<string, string>): string | undefined {
  const words = name
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .replace(/([a-z\d])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/^\d+/, ''))
    .filter((word) => word !== '')
  const base = words
    .join('-')
    .slice(0, LONGEST - 2)
    .replace(/-+$/, '')
  const candidates = [base, `${base}2`, `${base}3`, `${base}-service`]
  return candidates.find((candidate) => !findProblem(candidate, taken))
}

/** All names that are in use, and what uses them: folders, npm names, process types, routes. */
export function takenNames(root: string): Map<string, string> {
  const taken = new Map<string, string>()
  for (const parent of ['apps', 'packages', 'infra/generator/templates']) {
    for (const folder of listMembers(root, parent)) {
      const place = `${parent}/${folder}`
      const { name } = JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8')) as { name: string }
      taken.set(name.replace('@repo/', ''), place)
      if (parent !== 'infra/generator/templates') taken.set(folder, place)
    }
  }
  taken.set('infra', 'infra')
  const { release, running } = readFormation(root)
  for (const { name, route, app } of [...release, ...running]) {
    taken.set(name, `a process type of ${app}`)
    const [, word] = /^\/api\/([^/]+)$/.exec(route ?? '') ?? []
    if (word) taken.set(word, `the route of ${app}`)
  }
  return taken
}

/** @throws {Refusal} when there is no such app; the message lists the apps */
export function assertApp(root: string, name: string): void {
  const apps = listApps(root)
  if (!apps.includes(name)) throw new Refusal(`There is no app ${name}. There are ${apps.join(', ')}.`)
}

export function listApps(root: string): string[] {
  return listMembers(root, 'apps')
}

function listMembers(root: string, parent: string): string[] {
  return readdirSync(join(root, parent)).filter((name) =>
    existsSync(join(root, parent, name, 'package.json')),
  )
}

/**
 * Replaces a name by another, in each spelling. The template's name has two words, which shows the spelling of a place.
 *
 * @param from as `any-name`: `anyName`, `AnyName`, `any_name` and `ANY_NAME` are found as well
 */
export function rename(text: string, from: string, to: string): string {
  const [found, wanted] = [spellings(from), spellings(to)]
  return text.replaceAll(new RegExp(found.join('|'), 'g'), (spelling) => wanted[found.indexOf(spelling)]!)
}

/** The spelling in the names of tables and migrations. */
export function snakeCase(name: string): string {
  return name.replaceAll('-', '_')
}

export function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

export function pascalCase(name: string): string {
  return camelCase(`-${name}`)
}

function spellings(name: string): string[] {
  return [name, camelCase(name), pascalCase(name), snakeCase(name), snakeCase(name).toUpperCase()]
}
