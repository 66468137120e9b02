import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadEnv } from '@repo/config'
import { listAppTables } from '@repo/database/app-tables'
import { MigrationError } from '@repo/database/migrate'
import { migrateEnvOf } from './env.ts'
import { release } from './release.ts'

// The build copies the files that match this pattern.
const apps = resolve(fileURLToPath(new URL('../../*/{package.json,migrations}', import.meta.url)), '../..')
const tables = listAppTables(apps)
const env = loadEnv(migrateEnvOf(tables.map(({ app }) => app)), process.env)

try {
  const problems = await release(tables, env, console.log)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
} catch (error) {
  console.error(error instanceof MigrationError ? error.message : error)
  process.exitCode = 1
}

// Prisma's engine never clears the timer of its lock, so without this a release would end ten seconds later.
process.exit()
