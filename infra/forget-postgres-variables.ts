/**
 * Takes `PGSSLMODE`, `PGOPTIONS` and their like out of our environment. They are meant for another server, and the `pg`
 * client of ours and of everything that we start would follow them. What a URL should say, it says itself.
 *
 * @see https://www.postgresql.org/docs/current/libpq-envars.html
 */
export function forgetPostgresVariables(): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name]
}
