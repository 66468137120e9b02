import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'
import { findUnsafeStatements } from './find-unsafe-statements.ts'

export interface UnsafeMigration {
  /** Whose it is, as `orders`. */
  app: string
  name: string
  /** Of its file, in the clone. */
  path: string
  /** What is unsafe in it, and what to do: two lines for each statement. */
  words: string
}

/** The migrations of this clone that the release before would not survive (docs/operations.md), in order. */
export function findUnsafeMigrations(root: string): UnsafeMigration[] {
  const files = globSync('apps/*/migrations/*/migration.sql', { cwd: root }).toSorted()
  return files.flatMap((file) => {
    const words = findUnsafeStatements(readFileSync(join(root, file), 'utf8')).map(
      ({ line, statement, problem }) => `${file}:${line}: ${statement}\n  ${problem}`,
    )
    if (words.length === 0) return []
    const [, app] = file.split(sep)
    return [{ app: app!, name: basename(dirname(file)), path: file, words: words.join('\n') }]
  })
}

/** What to do about it, where `findUnsafeMigrations` found something. */
export const CONFIRM =
  'Correct the file. Or, once you know that nobody needs what it takes away, say so in a line before the statement: -- safe: why'
