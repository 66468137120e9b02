import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Reads `.env` at the root, for development and for commands run by hand. The shell wins; tests and production never read it. */
export function loadDotEnv(root: string): void {
  const file = join(root, '.env')
  if (existsSync(file)) process.loadEnvFile(file)
}

/**
 * Takes `PGSSLMODE`, `PGOPTIONS` and the like out of our environment. They are meant for another server, and the `pg` client would
 * follow them, ours and that of every process we start. What a URL should say, it says itself.
 *
 * @see https://www.postgresql.org/docs/current/libpq-envars.html
 */
export function forgetPostgresVariables(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name]
}
