import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findUnsafeStatements } from './find-unsafe-statements.ts'

// One of the checks of `pnpm check`: no migration that the release before would not survive (docs/operations.md).
const root = resolve(import.meta.dirname, '../..')
for (const file of globSync('packages/database/migrations/*/migration.sql', { cwd: root }).toSorted()) {
  for (const { line, statement, problem } of findUnsafeStatements(readFileSync(join(root, file), 'utf8'))) {
    console.error(`${file}:${line}: ${statement}\n  ${problem}`)
    process.exitCode = 1
  }
}
