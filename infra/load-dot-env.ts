import { existsSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What stands in `.env` at the root, for development and for what is done by hand. The shell wins; tests and production never read it.
 */
export function loadDotEnv(root: string): void {
  const file = join(root, '.env')
  if (existsSync(file)) process.loadEnvFile(file)
}
