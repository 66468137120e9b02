import { Refusal } from './change.ts'

/** One edit of a source file: the place, as messages name it; the pattern that must match there; and the replacement. */
export type Edit = readonly [string, RegExp, (...found: string[]) => string]

/**
 * The text of a file after these edits.
 *
 * @param path as messages name it
 * @throws {Refusal} when a place is not found, because the file no longer has the form of a new service
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

/** The text with one more import, in sorted order. Undefined when the text has no import. */
export function addImport(text: string, line: string): string | undefined {
  const imports = [...text.matchAll(/^import [^'"]*'[^']+'\n/gm)]
  if (imports.length === 0) return undefined
  if (imports.some(([statement]) => statement === `${line}\n`)) return text
  const next = imports.find(([statement]) => rankOf(statement) > rankOf(line))
  const last = imports.at(-1)!
  const at = next ? next.index : last.index + last[0].length
  return `${text.slice(0, at)}${line}\n${text.slice(at)}`
}

/** The key that imports are sorted by: Node's modules first, then packages, then the app's files. */
function rankOf(statement: string): string {
  const from = /'([^']+)'\n?$/.exec(statement)?.[1] ?? ''
  if (from.startsWith('node:')) return `0${from}`
  return from.startsWith('.') ? `2${from}` : `1${from}`
}

/** A list of words with commas, as in source, with one more word, in alphabetical order. */
export function insertSorted(list: string, word: string): string {
  const words = list.split(',').map((each) => each.trim())
  return [...new Set([...words, word])].filter(Boolean).sort().join(', ')
}
