import { Refusal } from './change.ts'

/** One place of a source file, which must be there: as a person is told of it, as it is found, and what comes in its stead. */
export type Edit = readonly [string, RegExp, (...found: string[]) => string]

/**
 * A file in which each of these places is another.
 *
 * @param path as a person is told of it
 * @throws {Refusal} where one is not found: somebody has given the file another form
 */
export function editSource(path: string, text: string, edits: readonly Edit[]): string {
  let edited = text
  for (const [place, pattern, replace] of edits) {
    if (!pattern.test(edited)) {
      throw new Refusal(
        `${path} is not in the form that new services have: it lacks \`${place}\`. Nothing was changed; ` +
          'pnpm new with another name and --dry-run shows what a service with it looks like.',
      )
    }
    edited = edited.replace(pattern, (...found: string[]) => replace(...found))
  }
  return edited
}

/** With an import more, in the order of their names, packages first. Undefined when there is none to stand beside. */
export function addImport(text: string, line: string): string | undefined {
  const imports = [...text.matchAll(/^import [^'"]*'[^']+'\n/gm)]
  if (imports.length === 0) return undefined
  if (imports.some(([statement]) => statement === `${line}\n`)) return text
  const next = imports.find(([statement]) => rankOf(statement) > rankOf(line))
  const last = imports.at(-1)!
  const at = next ? next.index : last.index + last[0].length
  return `${text.slice(0, at)}${line}\n${text.slice(at)}`
}

/** Node's own first, then packages, then the app's files. */
function rankOf(statement: string): string {
  const from = /'([^']+)'\n?$/.exec(statement)?.[1] ?? ''
  if (from.startsWith('node:')) return `0${from}`
  return from.startsWith('.') ? `2${from}` : `1${from}`
}

/** A list as source has it between brackets, with one word more, in the order of the alphabet. */
export function insertSorted(list: string, word: string): string {
  const words = list.split(',').map((each) => each.trim())
  return [...new Set([...words, word])].filter(Boolean).sort().join(', ')
}
