import { resolve } from 'node:path'
import { CONFIRM, findUnsafeMigrations } from './find-unsafe-migrations.ts'

// One of the checks of `pnpm check`: no migration that the release before would not survive (docs/operations.md).
const unsafe = findUnsafeMigrations(resolve(import.meta.dirname, '../..'))
for (const { words } of unsafe) console.error(words)
if (unsafe.length > 0) {
  console.error(CONFIRM)
  process.exitCode = 1
}
