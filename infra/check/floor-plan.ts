import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const DOCUMENT = 'docs/architecture.md'

/**
 * Compares the floor plan of docs/architecture.md with `infra/`. All that it names must exist, and it must name every folder and
 * `.ts` file that is directly in `infra/`. Entries of `apps/` and `packages/` are not compared, because a team adds and removes them.
 *
 * @returns a sentence for each difference; empty when there is no such document
 */
export function compareFloorPlan(root: string): { file: string; problem: string }[] {
  if (!existsSync(join(root, DOCUMENT))) return []
  const named = readFloorPlan(readFileSync(join(root, DOCUMENT), 'utf8'))
  const absent = named
    .filter((path) => path.startsWith('infra/') && !existsSync(join(root, path)))
    .map((path) => ({ file: DOCUMENT, problem: `the floor plan names ${path}, which is not there` }))
  const unnamed = listRooms(root)
    .filter((path) => !named.includes(path))
    .map((path) => ({ file: DOCUMENT, problem: `the floor plan does not name ${path}` }))
  return [...absent, ...unnamed]
}

/** The paths in the first code block: `infra/` without indentation, its entries after two spaces, several in one line. */
function readFloorPlan(text: string): string[] {
  const [, plan = ''] = /```\n([^]*?)```/.exec(text) ?? []
  let parent = ''
  return plan.split('\n').flatMap((line) => {
    const [, indent, words] = /^( {0,2})(\S+(?: \S+)*)/.exec(line) ?? []
    if (words === undefined) return []
    const names = words.split(' ').filter((word) => /^[\w.-]+(?:\/|\.ts)$/.test(word))
    if (indent === '') parent = names[0] ?? ''
    return indent === '' ? names : names.map((name) => parent + name)
  })
}

function listRooms(root: string): string[] {
  return readdirSync(join(root, 'infra'), { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules' && !name.startsWith('.'))
    .flatMap((entry) => {
      if (entry.isDirectory())
        return hasFiles(join(root, 'infra', entry.name)) ? [`infra/${entry.name}/`] : []
      return /(?<!\.test)\.ts$/.test(entry.name) ? [`infra/${entry.name}`] : []
    })
}

/** Git leaves a folder behind that has only what is ignored, when its files are removed. */
function hasFiles(folder: string): boolean {
  return readdirSync(folder, { withFileTypes: true }).some(
    (entry) =>
      entry.isFile() ||
      (entry.isDirectory() && entry.name !== 'node_modules' && hasFiles(join(folder, entry.name))),
  )
}
