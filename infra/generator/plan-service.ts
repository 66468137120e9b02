import { readFileSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { Change } from './change.ts'
import { deriveWith } from './derived-files.ts'
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

/** The `generate` script of an app with tables. */
export const GENERATE = 'node ../../packages/database/src/generate.ts'

export interface Wish {
  name: string
  kind: Kind
  with: readonly Capability[]
}

/**
 * Plans a new app or package: its folder, its entry in pnpm-lock.yaml, and what is derived from its declared processes.
 *
 * @throws {Refusal} when its kind and its capabilities do not fit together, or the lockfile lacks a version
 */
export async function planService(root: string, { name, kind, with: asked }: Wish): Promise<Change> {
  const choice = chooseTemplate(kind, asked)
  const folder = kind === 'package' ? `packages/${name}` : `apps/${name}`
  const { files: source, manifest } = customize(choice, name)
  const files = await formatFiles(root, new Map([['package.json', JSON.stringify(manifest)], ...source]))
  const links = linkDependencies(root, folder, choice.template, manifest)

  const { processes } = manifest
  const lockfile = readFileSync(join(root, 'pnpm-lock.yaml'), 'utf8')
  return {
    // The folder of the app comes last: when `pnpm dev` sees it, the rest is in place.
    steps: [
      ...(processes ? await deriveWith(root, { folder, processes, files, links }) : []),
      { write: 'pnpm-lock.yaml', content: addImporter(lockfile, folder, manifest), before: lockfile },
      { make: folder, files, links },
    ],
    notes: choice.notes,
  }
}

function customize({ template, entries }: Choice, name: string): { files: Files; manifest: Manifest } {
  const source = readTemplate(template)
  const kept = entries.length > 0 ? filesOf(entries, source.files) : source.files
  // The second is the job of a worker without tables.
  const named = (text: string): string => rename(rename(text, 'any-name', name), 'any-part', 'example')
  const files: Files = new Map()
  for (const [path, text] of kept)
    files.set(named(path).replace(/^migrations\/\d+_/, `migrations/${migrationTime()}_`), named(text))
  return { files, manifest: customizeManifest(source.manifest, kept, entries, name) }
}

function customizeManifest(
  manifest: Manifest,
  files: Files,
  entries: readonly string[],
  name: string,
): Manifest {
  const { scripts, dependencies, devDependencies, processes, ...rest } = manifest
  const wanted = Object.entries(processes ?? {}).filter(([, { entry }]) => entries.includes(entry))
  const nameOf = (process: string): string => rename(process, 'any-name', name)
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
          { ...declared, ...(declared.route && { route: rename(declared.route, 'any-name', name) }) },
        ]),
      ),
    }),
  }
}

function section(title: 'dependencies' | 'devDependencies', names: Record<string, string>): object {
  return Object.keys(names).length > 0 ? { [title]: names } : {}
}

/** The links in node_modules that pnpm would make, so that the app runs before the next `pnpm install`. */
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

/** The time now, for the name of a migration: migrations are applied in the order of their names. */
function migrationTime(): string {
  return new Date().toISOString().replaceAll(/\D/g, '').slice(0, 14)
}
