import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { diff } from 'node:util'
import { parse } from 'yaml'
import type { Formation } from '../formation.ts'
import { listPlatforms, render } from './render.ts'

/** A file or a version that has drifted, and how to correct it. */
export interface Finding {
  what: string
  how: string
  mend: string
  /** The text of the file; '' when there is no file. */
  found?: string
  /** The text that the file should have; null when it should be removed. Undefined when a developer must decide. */
  wanted?: string | null
}

/** The rendered files that are not up to date, and the versions and templates that differ from each other. */
export async function findDrift(root: string, formation: Formation): Promise<Finding[]> {
  return [
    ...(await findStale(root, formation)),
    ...findOrphans(root, formation),
    ...findVersions(root),
    ...findNode(root),
    ...findPlatforms(root),
    ...findTemplates(root),
  ]
}

async function findStale(root: string, formation: Formation): Promise<Finding[]> {
  const rendered = await render(root, formation)
  const folders = (await listPlatforms()).flatMap(({ FOLDER }) => FOLDER ?? [])
  const left = folders
    .flatMap((folder) => globSync(`${folder}/**/*.yaml`, { cwd: root }))
    .filter((file) => !rendered.has(file))
  const findings: Finding[] = left.map((file) => {
    return { what: file, how: 'its process type is gone', mend: 'pnpm infra', wanted: null }
  })
  for (const [file, wanted] of rendered) {
    const found = read(root, file)
    const how = found === undefined ? 'is not there' : 'is not what the formation says'
    if (found !== wanted) findings.push({ what: file, how, mend: 'pnpm infra', found: found ?? '', wanted })
  }
  return findings
}

/** The templates whose entry differs from that of `apps/accounts`: all processes should start in the same way. */
export function findTemplates(root: string): Finding[] {
  const model = 'apps/accounts/src/server.ts'
  const text = read(root, model)
  // Only templates with resources, as the model has.
  return globSync('infra/generator/templates/*/src/resources.ts', { cwd: root })
    .map((file) => file.replace('resources.ts', 'server.ts'))
    .filter((file) => text !== undefined && read(root, file) !== text)
    .map((file) => ({ what: file, how: `reads otherwise than ${model}`, mend: 'make both say the same' }))
}

/** The requests in the README to an app whose folder was deleted. */
function findOrphans(root: string, { running }: Formation): Finding[] {
  const found = read(root, 'README.md') ?? ''
  const routes = running.flatMap(({ route }) => route ?? [])
  const wanted = found
    .split('\n')
    .filter((line) => {
      const [, path] = /^say .*localhost:\d+(\/api\/[a-z0-9-]+)/.exec(line) ?? []
      return path === undefined || routes.includes(path)
    })
    .join('\n')
  return wanted === found
    ? []
    : [{ what: 'README.md', how: 'asks an app that is gone', mend: 'pnpm infra', found, wanted }]
}

/**
 * The overrides in pnpm-workspace.yaml that take a version from the catalog: whose dependency, and which one. Of
 * "smtp-server>nodemailer" these are `smtp-server` and `nodemailer`.
 */
export function overridesOf(workspace: string): [parent: string, name: string][] {
  return [...workspace.matchAll(/^ {2}"([^">]+)>([^">]+)": "catalog:"/gm)].map(([, parent, name]) => [
    parent!,
    name!,
  ])
}

/** The versions outside the catalog of pnpm-workspace.yaml, and the catalog's entries that no package uses. */
export function findVersions(root: string): Finding[] {
  const files = globSync('{.,infra,apps/*,packages/*,infra/generator/templates/*}/package.json', {
    cwd: root,
  })
  const used = new Map<string, string>()
  const findings: Finding[] = []
  for (const file of files.sort()) {
    const { dependencies, optionalDependencies, devDependencies } = JSON.parse(read(root, file)!) as Record<
      string,
      Record<string, string>
    >
    for (const [name, version] of Object.entries({
      ...dependencies,
      ...optionalDependencies,
      ...devDependencies,
    })) {
      used.set(name, file)
      const wanted = name.startsWith('@repo/') ? 'workspace:*' : 'catalog:'
      if (version === wanted) continue
      const mend = `say "${wanted}"${wanted === 'catalog:' ? ', and the version in pnpm-workspace.yaml' : ''}`
      findings.push({ what: file, how: `${name} is "${version}"`, mend })
    }
  }
  const what = 'pnpm-workspace.yaml'
  const found = read(root, what)!
  const [, catalog = ''] = /^catalog:\n((?:[ #].*\n)*)/m.exec(found) ?? []
  for (const [, name] of overridesOf(found)) used.set(name, what)
  const unused = [...catalog.matchAll(/^ {2}"?([^":#\s]+)"?:.*\n/gm)].filter(([, name]) => !used.has(name!))
  if (unused.length > 0) {
    const how = `nobody uses ${unused.map(([, name]) => name).join(', ')}`
    const wanted = unused.reduce((text, [line]) => text.replace(line, ''), found)
    findings.push({ what, how, mend: 'pnpm infra', found, wanted })
  }
  return findings
}

/** Files that repeat the major version of Node, because the programs that read them cannot read .node-version. */
const LINES_OF_NODE: readonly [file: string, places: RegExp][] = [
  ['package.json', /"node": ">=(\d+)"/g],
  ['pnpm-workspace.yaml', /^ {2}(?:node-[a-z0-9-]+|"@types\/node"): \^(\d+)/gm],
  ['renovate.json', /"allowedVersions": "(\d+)\.x"/g],
  ['infra/deploy/image/Dockerfile', /\/(?:node:|nodejs)(\d+)-/g],
  ['.github/workflows/ci.yml', /\/node:(\d+)-/g],
]

/** Files with another major version of Node than `.node-version`. Development, CI and images use its newest release. */
export function findNode(root: string): Finding[] {
  const version = read(root, '.node-version')?.trim() ?? ''
  const [line] = version.split('.')
  const mend = `say ${line}, as .node-version does`
  return LINES_OF_NODE.flatMap(([file, places]) => {
    const found = [...(read(root, file) ?? '').matchAll(places)].map(([, other]) => other!)
    if (found.length === 0) return [{ what: file, how: 'names no Node', mend }]
    const other = found.find((one) => one !== line)
    return other ? [{ what: file, how: `asks for Node ${other}`, mend }] : []
  })
}

interface Manifest {
  name: string
  version: string
  optionalDependencies?: Record<string, string>
}

/**
 * The packages whose builds for other platforms are not in the lockfile. An install that changes the lockfile may keep only
 * the builds for its own platform; then developers on other platforms get no linter and no turbo.
 */
export function findPlatforms(root: string): Finding[] {
  const lockfile = read(root, 'pnpm-lock.yaml')
  if (lockfile === undefined) return []
  const { packages } = parse(lockfile) as { packages: Record<string, unknown> }
  const missing = new Set<string>()
  for (const file of globSync('node_modules/.pnpm/*/node_modules/{*,@*/*}/package.json', { cwd: root })) {
    const { name, version, optionalDependencies = {} } = JSON.parse(read(root, file)!) as Manifest
    if (!(`${name}@${version}` in packages)) continue
    for (const [other, range] of Object.entries(optionalDependencies)) {
      // Platform packages have exactly the same version as the package that they belong to.
      if (/^\d/.test(range) && !(`${other}@${range}` in packages)) missing.add(name)
    }
  }
  return [...missing].sort().map((name) => ({
    what: 'pnpm-lock.yaml',
    how: `lacks what ${name} needs on other platforms`,
    mend: 'pnpm install --fix-lockfile --lockfile-only',
  }))
}

/** The text of a file; undefined when it does not exist. */
function read(root: string, file: string): string | undefined {
  try {
    return readFileSync(join(root, file), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * A unified diff from `before` to `after` without lines of context.
 *
 * @see https://nodejs.org/api/util.html#utildiffactual-expected
 */
export function diffLines(file: string, before: string, after: string): string {
  const lines = [`--- ${file}`, `+++ ${file}, as rendered`]
  let [old, fresh, isInside] = [1, 1, false]
  for (const [change, line] of diff(before.split('\n'), after.split('\n'))) {
    if (change !== 0 && !isInside) lines.push(`@@ -${old} +${fresh} @@`)
    isInside = change !== 0
    // `change` is 1 for a line of `before` only, -1 for a line of `after` only.
    if (change > 0) lines.push(`-${line}`)
    if (change < 0) lines.push(`+${line}`)
    if (change >= 0) old++
    if (change <= 0) fresh++
  }
  return lines.join('\n')
}
