import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { databaseEnvironment, nameOfApp } from '../../databases.ts'
import type { Formation, ProcessType } from '../../formation.ts'
import type { MadeSecrets } from '../render.ts'
import { isRelease, secretsOf, type VariablesOf } from '../variables.ts'

/**
 * Creates the secrets of infra/deploy/compose/compose.yaml in `.secrets`: passwords, the secret that signs cookies, and a
 * certificate for localhost. Secrets that exist, and values that a developer has filled in, stay.
 */
export function makeSecrets(root: string, formation: Formation, variables: VariablesOf): MadeSecrets {
  const folder = join(root, '.secrets')
  // The user in a container is not you: so everybody may read the files, but only you may enter the folder.
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const read = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined
  const made: string[] = []
  const open: string[] = []

  function write(name: string, text: string): string {
    // The file may exist and be read-only.
    rmSync(join(folder, name), { force: true })
    writeFileSync(join(folder, name), text, { mode: 0o644 })
    made.push(`.secrets/${name}`)
    return text
  }
  const password = read('postgres-password') ?? write('postgres-password', newSecret())
  const redis = read('redis.conf') ?? write('redis.conf', `requirepass ${newSecret()}\n`)
  if (!read('certificate.pem')) write('certificate.pem', makeCertificate())

  const admin = `postgres://nonstick:${password}@postgres:5432/nonstick`
  const store = `redis://:${redis.trim().split(' ')[1]}@redis:6379/0`
  const databaseOf = databaseEnvironment(formation, admin, store)
  const files = new Map<string, Map<string, string | undefined>>()
  // By the file and the key. A secret that an app keeps for its callers has one value, under several names.
  const values = new Map<string, string | undefined>()
  const valueOf = (file: string, key: string, known?: string): string | undefined => {
    const name = `${file} ${key}`
    const value = values.get(name) ?? known ?? (parseEnv(read(file) ?? '')[key] || firstValueOf(key))
    values.set(name, value)
    return value
  }
  for (const type of [...formation.release, ...formation.running]) {
    const known = { ...databaseOf(type), SESSION_STORE_URL: store } as Record<string, string>
    for (const { name, kept, isRequired } of secretsOf(type, variables)) {
      const [release] = isRelease(type, formation) ? secretFilesOf(type, formation, variables) : []
      const file = release ?? fileOf(type, name, kept)
      const [from, key] = file === release ? [file, name] : [`${kept.store}.env`, kept.key]
      const value = valueOf(from, key, known[name])
      if (value === undefined && !isRequired) continue
      files.set(file, (files.get(file) ?? new Map()).set(name, value))
    }
  }
  for (const [file, values] of files) {
    const text = [...values].map(([name, value = '']) => `${name}=${value}\n`).join('')
    if (read(file) !== text) write(file, text)
    for (const [name, value] of values) if (!value) open.push(`${name} in .secrets/${file}`)
  }
  return { made, open }
}

/** The names of the files in `.secrets` for a process type. A release has one file with all its secrets. */
export function secretFilesOf(type: ProcessType, formation: Formation, variables: VariablesOf): string[] {
  const secrets = secretsOf(type, variables)
  if (secrets.length > 0 && isRelease(type, formation)) return [`${type.name}.env`]
  return [...new Set(secrets.map(({ name, kept }) => fileOf(type, name, kept)))]
}

/**
 * The file of the store. A secret that another app keeps under another key is copied to the app's own file, because a process
 * gets whole files, and would get the other secrets of that app, too.
 */
function fileOf(type: ProcessType, name: string, { store, key }: { store: string; key: string }): string {
  return `${name === key ? store : nameOfApp(type)}.env`
}

/** The value of a secret that a developer may replace. The mail server is the one in compose.yaml, which has no TLS. */
function firstValueOf(name: string): string | undefined {
  if (name === 'SESSION_SECRETS' || name === 'CALL_SECRETS') return newSecret()
  return name === 'MAIL_URL' ? 'smtp://mailpit:1025?tls=off' : undefined
}

function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** A self-signed certificate with its key, as PEM. A browser warns about it once. */
function makeCertificate(): string {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-']
  return execFileSync('openssl', ['req', '-x509', '-days', '365', ...key, ...subject], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}
