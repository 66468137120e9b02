import { databaseEnv, directUrlVariableOf, urlVariableOf } from '@repo/database'
import { Type, type Static, type TObject, type TString } from 'typebox'

const { DATABASE_URL: Url } = databaseEnv

const common = {
  ADMIN_DATABASE_URL: Type.Optional(
    Type.String({
      ...Url,
      secret: 'database',
      description:
        'Postgres with a user that may create roles and schemas; without it, they must already exist',
    }),
  ),
  SESSION_STORE_URL: Type.Optional(
    Type.String({
      secret: 'session',
      description: 'The session store: if it is Postgres, the release creates its tables',
    }),
  ),
}

/** The environment of the release process: the database URLs of each app, besides the common variables. */
export function migrateEnvOf(apps: readonly string[]): TObject<typeof common & Record<string, TString>> {
  const urls = apps.flatMap((app) => {
    const [url, directUrl] = ['DATABASE_URL', 'DATABASE_DIRECT_URL'].map((key) => ({ store: app, key }))
    const description = `DATABASE_URL of ${app}, for the release`
    const direct = 'Its DATABASE_DIRECT_URL, if it has one'
    return [
      [urlVariableOf(app), Type.String({ ...Url, secret: url, description })],
      [
        directUrlVariableOf(app),
        Type.Optional(Type.String({ ...Url, secret: directUrl, description: direct })),
      ],
    ]
  })
  return Type.Object({ ...common, ...Object.fromEntries(urls) })
}

export type Env = Readonly<Static<ReturnType<typeof migrateEnvOf>>>
