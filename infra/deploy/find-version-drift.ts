import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Finding } from './find-drift.ts'

/** Versions that do not agree: of packages, of Node, and of what the lockfile holds for other platforms. */
export function findVersionDrift(root: string): Finding[] {
  return [...findVersions(root), ...findNode(root), ...findPlatforms(root)]
}

/** Each version stands once, in the catalog, and each that stands there is somebody's. */
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
  const unused = [...catalog.matchAll(/^ {2}"?([^":#\s]+)"?:.*\n/gm)].filter(([, name]) => !used.has(name!))
  if (unused.length > 0) {
    const how = `nobody uses ${unused.map(([, name]) => name).join(', ')}`
    const wanted = unused.reduce((text, [line]) => text.replace(line, ''), found)
    findings.push({ what, how, mend: 'pnpm infra', found, wanted })
  }
  return findings
}

/** Where the line of Node stands again, since who reads it there cannot read .node-version. */
const LINES_OF_NODE: readonly [file: string, places: RegExp][] = [
  ['package.json', /"node": ">=(\d+)"/g],
  ['pnpm-workspace.yaml', /^ {2}(?:node-[a-z0-9-]+|"@types\/node"): \^(\d+)/gm],
  ['renovate.json', /"allowedVersions": "(\d+)\.x"/g],
  ['infra/deploy/image/Dockerfile', /\/(?:node:|nodejs)(\d+)-/g],
  ['.github/workflows/ci.yml', /\/node:(\d+)-/g],
]

/** One Node for development, CI and images: the line in `.node-version`, in which each takes the newest that it can get. */
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
 * What the packages here would install on other platforms must be in the lockfile: an install that changes it keeps only
 * those of its own platform, and everybody else finds no linter and no turbo.
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
      // Platform packages have the version of the package that they belong to, to the digit.
      if (/^\d/.test(range) && !(`${other}@${range}` in packages)) missing.add(name)
    }
  }
  return [...missing].sort().map((name) => ({
    what: 'pnpm-lock.yaml',
    how: `lacks what ${name} needs on other platforms`,
    mend: 'pnpm install --fix-lockfile --lockfile-only',
  }))
}

/** Undefined when there is no such file. */
export function read(root: string, file: string): string | undefined {
  try {
    return readFileSync(join(root, file), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
