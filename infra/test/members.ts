import { globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** A member of the workspace that has tests. */
export interface Member {
  /** As `@repo/session`. */
  name: string
  /** Relative to the root, as `packages/session`. */
  folder: string
  /** The path of its test report. */
  report: string
}

export const root = resolve(import.meta.dirname, '../..')

/** Every member with a `test` script, or those whose folder or name contains one of the words. */
export function listMembers(words: string[] = []): Member[] {
  // Of a member that a merge removed, its ignored files are left: a folder without a manifest.
  const manifests = globSync('{apps,packages,infra/generator/templates}/*/package.json', { cwd: root })
  return [...manifests.toSorted().map((path) => dirname(path)), 'infra']
    .flatMap((folder) => {
      const { name, scripts } = readManifest(folder)
      return scripts?.test ? [{ name, folder, report: join(root, folder, 'test-report.json') }] : []
    })
    .filter(
      ({ name, folder }) =>
        words.length === 0 || words.some((word) => `${name} ${ownPart(folder)}`.includes(word)),
    )
}

/** The test files of a member, relative to its folder: the long ones (`*.long.test.ts`), or all others. */
export function listTests(folder: string, { long }: { long: boolean }): string[] {
  const files = globSync('{*,!(node_modules)/**/*}.test.ts', { cwd: join(root, folder) })
  // Templates are in a folder of infra, but are members of their own.
  const isOwn = (file: string): boolean => isTemplate(folder) || !isTemplate(join(folder, file))
  return files.filter((file) => isOwn(file) && file.endsWith('.long.test.ts') === long)
}

/** The folder. For a template it is the part after `infra/`, because infra is another member. */
function ownPart(folder: string): string {
  return isTemplate(folder) ? folder.slice('infra/'.length) : folder
}

/** Whether this folder is a template of `pnpm new`. */
export function isTemplate(folder: string): boolean {
  return folder.startsWith('infra/generator/templates/')
}

function readManifest(folder: string): { name: string; scripts?: Record<string, string> } {
  return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
}
