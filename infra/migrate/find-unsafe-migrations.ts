import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'

/** A migration that may break the previous release, or lose data. */
export interface UnsafeMigration {
  /** The app, as `orders`. */
  app: string
  name: string
  /** The path of its file, relative to the root. */
  path: string
  /** What is unsafe in it, and what to do: two lines for each statement. */
  words: string
}

/** What to do about the result of `findUnsafeMigrations`. */
export const CONFIRM =
  'Correct the file. Or, once you know that nobody needs what it takes away, say so in a line before the statement: -- safe: why'

/** The migrations of this clone that may break the previous release (docs/operations.md), in the order of their paths. */
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

/** A statement that may break the previous release, which runs while the migration is applied; and what to do instead. */
export interface UnsafeStatement {
  line: number
  /** Its first 60 characters, so that the user finds it. */
  statement: string
  problem: string
}

interface Rule {
  pattern: RegExp
  problem: string
  /** Safe on a table that the same migration makes: it is empty, and no process reads it yet. */
  isOnTable?: boolean
}

const LATER = 'stop using it in one release, and drop it in a later one'
const RULES: Rule[] = [
  {
    pattern: /^drop\s+(table|view|materialized\s+view|type|schema|function)\b/,
    problem: `the release before may still use it: ${LATER}`,
  },
  {
    pattern:
      /^alter\s+table\b.*\bdrop\s+(column\b|(?!constraint\b|default\b|not\b|expression\b|identity\b)"?\w+"?)/,
    problem: `the release before still reads that column: ${LATER}`,
  },
  {
    // No code uses the name of an index or of a constraint.
    pattern: /^alter\s+(?!index\b)\w+\b.*\brename\b(?!\s+constraint\b)/,
    problem:
      'the release before knows the old name: add the new beside it, write both, and drop the old in a later release',
  },
  {
    pattern:
      /^alter\s+table\b.*\badd\s+(column\s+)?(if\s+not\s+exists\s+)?"?\w+"?\s(?=.*\bnot\s+null\b)(?!.*\b(default|generated)\b)/,
    problem: 'the release before inserts rows without that column: let it be null, or give it a default',
    isOnTable: true,
  },
  {
    pattern:
      /^alter\s+table\b.*\badd\s+column\b.*\bdefault\s+(gen_random_uuid|uuidv?\w*|random|clock_timestamp|nextval)\b/,
    problem:
      'each row gets a value of its own, so the whole table is rewritten under a lock: add the column, fill it in batches, set the default',
    isOnTable: true,
  },
  {
    pattern: /^alter\s+table\b.*\balter\s+(column\s+)?"?\w+"?\s+(set\s+data\s+)?type\b/,
    problem: 'the whole table is rewritten under a lock: add a column of the new type beside it',
    isOnTable: true,
  },
  {
    pattern: /^alter\s+table\b.*\bset\s+not\s+null\b/,
    problem:
      'the release before may write null, and every row is read under a lock: add CHECK (... IS NOT NULL) NOT VALID, validate it in the next migration, then set it',
    isOnTable: true,
  },
  {
    pattern: /^create\s+(unique\s+)?index\s+(?!concurrently\b)/,
    problem: 'nobody can write to the table meanwhile: CREATE INDEX CONCURRENTLY, alone in its migration',
    isOnTable: true,
  },
  {
    pattern: /^drop\s+index\s+(?!concurrently\b)/,
    problem: 'queries wait for the lock: DROP INDEX CONCURRENTLY, alone in its migration',
  },
  {
    pattern:
      /^alter\s+table\b.*\badd\s+(constraint\s+"?\w+"?\s+)?(foreign\s+key|check)\b(?!.*\bnot\s+valid\b)/,
    problem:
      'every row is checked under a lock: add it NOT VALID, and VALIDATE CONSTRAINT in the next migration',
    isOnTable: true,
  },
  {
    pattern:
      /^alter\s+table\b.*\badd\s+(constraint\s+"?\w+"?\s+)?(unique|primary\s+key|exclude)\b(?!.*\busing\s+index\b)/,
    problem: 'an index is made under a lock: make it CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX',
    isOnTable: true,
  },
  {
    pattern: /^create\s+extension\s+(?!if\s+not\s+exists\s+\S+\s+(with\s+)?schema\s+"?extensions"?)/,
    problem:
      'an extension exists once in a database, for all apps: CREATE EXTENSION IF NOT EXISTS ... SCHEMA extensions, which the release does for it',
  },
  {
    pattern: /^(truncate|lock|cluster|vacuum\s+full|reindex\s+(?!.*\bconcurrently\b))\b/,
    problem: 'nobody can use the table meanwhile',
  },
]

/**
 * Finds what is unsafe in a migration during a rolling restart: the old code runs on the new schema for minutes, and longer
 * after a rollback. A statement after a line `-- safe: why` counts as reviewed. An empty migration is unsafe.
 */
export function findUnsafeStatements(sql: string): UnsafeStatement[] {
  const statements = splitStatements(sql)
  if (statements.length === 0)
    return [
      {
        line: 1,
        statement: '(no statement)',
        problem: 'nothing would be applied, and for good: write it first',
      },
    ]
  const made = new Set(
    statements.flatMap(
      ({ text }) => /^create\s+table\s+(?:if\s+not\s+exists\s+)?(\S+?)\s*\(/.exec(text)?.[1] ?? [],
    ),
  )
  return statements.flatMap(({ text, line, isSafe }) => {
    const table =
      /^(?:alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?|create\b.*?\bon\s+(?:only\s+)?)([^\s(]+)/.exec(
        text,
      )?.[1]
    const found = RULES.find(
      ({ pattern, isOnTable }) => pattern.test(text) && !(isOnTable && table && made.has(table)),
    )
    return found && !isSafe ? [{ line, statement: text.slice(0, 60), problem: found.problem }] : []
  })
}

/** Each statement in lower case on one line, without comments and without the text of string constants. */
function splitStatements(sql: string): { text: string; line: number; isSafe: boolean }[] {
  const statements: { text: string; line: number; isSafe: boolean }[] = []
  const piece = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$|;|[^-/'$;]+|[-/'$]/g
  let [text, line, isSafe] = ['', 0, false]
  for (const { 0: found, index } of sql.matchAll(piece)) {
    if (found === ';') {
      if (text.trim()) statements.push({ text: text.trim().replace(/\s+/g, ' ').toLowerCase(), line, isSafe })
      ;[text, isSafe] = ['', false]
    } else if (/^--\s*safe:\s*\S/.test(found)) isSafe = true
    else if (/^(--|\/\*)/.test(found)) text += ' '
    else {
      if (!text.trim()) line = sql.slice(0, index + found.search(/\S|$/)).split('\n').length
      text += /^['$]./s.test(found) ? "''" : found
    }
  }
  if (text.trim()) statements.push({ text: text.trim().replace(/\s+/g, ' ').toLowerCase(), line, isSafe })
  return statements
}

// One of the checks of `pnpm check`.
if (import.meta.main) {
  const unsafe = findUnsafeMigrations(resolve(import.meta.dirname, '../..'))
  for (const { words } of unsafe) console.error(words)
  if (unsafe.length > 0) {
    console.error(CONFIRM)
    process.exitCode = 1
  }
}
