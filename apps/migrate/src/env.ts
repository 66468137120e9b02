import { databaseEnv, directUrlVariableOf, urlVariableOf } from '@repo/database'
import { Type, type Static, type TObject, type TString } from 'typebox'

const { DATABASE_URL: Url } = databaseEnv

const common = {
  ADMIN_DATABASE_URL: Type.Optional(
    Type.String({
      ...Url,
      description: 'Postgres as somebody who may make roles and schemas; without it they must be there',
    }),
  ),
  SESSION_STORE_URL: Type.Optional(
    Type.String({ description: 'Where sessions live: in Postgres the release makes their tables' }),
  ),
}

/** What the release reads: how to get into the database of each app, which the formation says. */
export function envSchemaOf(apps: readonly string[]): TObject<typeof common & Record<string, TString>> {
  const urls = apps.flatMap((app) => [
    [urlVariableOf(app), Type.String({ ...Url, description: `DATABASE_URL of ${app}, for the release` })],
    [
      directUrlVariableOf(app),
      Type.Optional(Type.String({ ...Url, description: `Its DATABASE_DIRECT_URL, where it has one` })),
    ],
  ])
  return Type.Object({ ...common, ...Object.fromEntries(urls) })
}

export type Env = Readonly<Static<ReturnType<typeof envSchemaOf>>>
