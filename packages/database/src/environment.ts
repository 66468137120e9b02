import { Type } from 'typebox'

/** The variables of a process that uses the database. */
export const databaseEnv = {
  DATABASE_URL: Type.String({
    description: 'Postgres: postgres://user:password@host:5432/name',
    pattern: '^postgres(ql)?://',
  }),
}
