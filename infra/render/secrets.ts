import { directUrlVariableOf, urlVariableOf } from '@repo/database/app-tables'
import { databaseApps, nameOfApp } from '../databases.ts'
import type { Formation, ProcessType } from '../formation.ts'

/** A variable of a process that nobody else may see, and where a platform keeps it. */
export interface Secret {
  name: string
  /** What the platform keeps it in, and under which key. An app and its release have the same one. */
  store: string
  key: string
  /** A process starts without it. */
  isOptional?: boolean
}

/** What a process is given besides what everybody may read. Each app has a key of its own, and the release has all of them. */
export function secretsOf(type: ProcessType, formation: Formation): Secret[] {
  const { needs } = type
  const session = ['SESSION_STORE_URL', 'SESSION_SECRETS'].map((name) => {
    return { name, store: 'session', key: name }
  })
  if (isRelease(type, formation) && needs.includes('database')) {
    return [
      { name: 'ADMIN_DATABASE_URL', store: 'database', key: 'ADMIN_DATABASE_URL' },
      ...databaseApps(formation).flatMap((app) => ofApp(app, urlVariableOf(app), directUrlVariableOf(app))),
      // Sessions in Postgres have their tables made by it.
      session[0]!,
    ]
  }
  return [
    ...(needs.includes('database') ? ofApp(nameOfApp(type)) : []),
    ...(needs.includes('session') ? session : []),
  ]
}

/** What opens the database of an app. */
function ofApp(app: string, name = 'DATABASE_URL', directName = 'DATABASE_DIRECT_URL'): Secret[] {
  const store = `${app}-database`
  return [
    { name, store, key: 'DATABASE_URL' },
    { name: directName, store, key: 'DATABASE_DIRECT_URL', isOptional: true },
  ]
}

export function isRelease({ name }: ProcessType, { release }: Formation): boolean {
  return release.some((type) => type.name === name)
}

/** Whether a variable of this name is a secret wherever it stands. */
export function isSecret(name: string): boolean {
  return /^(ADMIN_DATABASE_URL|DATABASE_(DIRECT_)?URL(_\w+)?|SESSION_STORE_URL|SESSION_SECRETS)$/.test(name)
}
