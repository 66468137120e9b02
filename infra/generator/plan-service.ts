import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { Change, Step } from './change.ts'
import { addImporter } from './lockfile.ts'
import { rename } from './names.ts'
import {
  chooseTemplate,
  dependenciesOf,
  filesOf,
  formatFiles,
  readTemplate,
  templateFolder,
  type Capability,
  type Choice,
  type Files,
  type Kind,
  type Manifest,
} from './template.ts'

/** The script of an app that has tables. */
export const GENERATE = 'node ../../packages/database/src/generate.ts'

export interface Wish {
  name: string
  kind: Kind
  with: readonly Capability[]
}

/** What an app will be: its folder, what it declares, and a folder in which its files stand already. */
export interface ComingApp {
  folder: string
  processes: NonNullable<Manifest['processes']>
  likeness: string
}

/** The files that are derived from the list of all processes, once these are in it. */
export type Derive = (app: ComingApp) => Promise<Step[]>

/**
 * A new app or package: its folder and its place in pnpm-lock.yaml. Everything else that knows of an app is derived from
 * what it declares.
 *
 * @throws {Refusal}
 */
export async function planService(root: string, wish: Wish, derive: Derive): Promise<Change> {
  const { name, kind, with: asked } = wish
  const choice = chooseTemplate(kind, asked)
  const folder = kind === 'package' ? `packages/${name}` : `apps/${name}`
  const { files, manifest } = customize(choice, name)
  const likeness = templateFolder(choice.template)
  const withManifest = new Map([['package.json', JSON.stringify(manifest)], ...files])

  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  const content = addImporter(lockfile, folder, manifest)
  return {
    // The folder of the app last: whoever watches for it finds the rest in place.
    steps: [
      ...(manifest.processes ? await derive({ folder, processes: manifest.processes, likeness }) : []),
      { write: 'pnpm-lock.yaml', content, before: lockfile },
      {
        make: folder,
        files: await formatFiles(root, withManifest),
        links: linkDependencies(root, folder, choice.template, manifest),
      },
    ],
    notes: choice.notes,
  }
}

function customize(
  { template, name: from, entries }: Choice,
  name: string,
): { files: Files; manifest: Manifest } {
  const source = readTemplate(template)
  const kept = entries.length > 0 ? filesOf(entries, source.files) : source.files
  const files: Files = new Map()
  for (const [path, text] of kept) {
    const target = rename(path, from, name).replace(/^migrations\/\d+_/, `migrations/${migrationTime()}_`)
    files.set(target, rename(text, from, name))
  }
  return { files, manifest: customizeManifest(source.manifest, kept, entries, from, name) }
}

function customizeManifest(
  manifest: Manifest,
  files: Files,
  entries: readonly string[],
  from: string,
  name: string,
): Manifest {
  const { scripts, dependencies, devDependencies, processes, ...rest } = manifest
  const wanted = Object.entries(processes ?? {}).filter(([, { entry }]) => entries.includes(entry))
  const nameOf = (process: string): string => rename(process, from, name)
  return {
    ...rest,
    name: `@repo/${name}`,
    scripts: {
      ...(entries.length > 0 && {
        build: 'node ../../packages/build/src/main.ts',
        dev: `node ../../infra/dev/main.ts ${wanted.map(([process]) => nameOf(process)).join(' ')}`,
        start: `node --enable-source-maps ${entries[0]!.replace(/^src\/(.*)\.ts$/, 'dist/$1.js')}`,
      }),
      ...(files.has('schema.prisma') && { generate: GENERATE }),
      ...(scripts?.test && { test: 'vitest run --config ../../vitest.config.ts --root .' }),
    },
    ...section('dependencies', dependenciesOf(files, dependencies)),
    ...section('devDependencies', {
      ...(entries.length > 0 && { '@repo/build': 'workspace:*' }),
      ...dependenciesOf(files, devDependencies),
    }),
    ...(wanted.length > 0 && {
      processes: Object.fromEntries(
        wanted.map(([process, declared]) => [
          nameOf(process),
          { ...declared, ...(declared.route && { route: rename(declared.route, from, name) }) },
        ]),
      ),
    }),
  }
}

function section(title: 'dependencies' | 'devDependencies', names: Record<string, string>): object {
  return Object.keys(names).length > 0 ? { [title]: names } : {}
}

/** The links that pnpm would make, so that the app runs before pnpm is asked again. */
export function linkDependencies(
  root: string,
  folder: string,
  template: string,
  { dependencies, devDependencies }: Manifest,
): Files {
  const links: Files = new Map()
  for (const dependency of Object.keys({ ...dependencies, ...devDependencies })) {
    const link = `node_modules/${dependency}`
    const target = dependency.startsWith('@repo/')
      ? join(realpathSync(root), 'packages', dependency.slice('@repo/'.length))
      : realpathSync(join(templateFolder(template), link))
    links.set(link, relative(dirname(join(realpathSync(root), folder, link)), target))
  }
  return links
}

/** Now: migrations are applied in the order of their names. */
function migrationTime(): string {
  return new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)
}
