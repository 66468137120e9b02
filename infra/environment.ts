import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Reads `.env` at the root for development and commands run by hand, not in tests or production. The shell has precedence. */
export function loadDotEnv(root: string): void {
  const file = join(root, '.env')
  if (existsSync(file)) process.loadEnvFile(file)
}

/**
 * Deletes `PGSSLMODE`, `PGOPTIONS` and all other `PG*` variables from the environment. They are meant for another server,
 * and the `pg` client would use them, here and in every process that we start. All settings must be in the URL.
 *
 * @see https://www.postgresql.org/docs/current/libpq-envars.html
 */
export function forgetPostgresVariables(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name]
}
