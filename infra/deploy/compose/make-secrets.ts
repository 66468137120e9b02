import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { databaseEnvironment } from '../../databases.ts'
import type { Formation, ProcessType } from '../../formation.ts'
import type { MadeSecrets } from '../render.ts'
import { isRelease, secretsOf, type VariablesOf } from '../variables.ts'

/**
 * Makes what the processes of infra/deploy/compose/compose.yaml keep to themselves, in `.secrets`, unless it is there: passwords, the
 * secret that signs cookies, and a certificate for localhost. What a person has filled in stays.
 */
export function makeSecrets(root: string, formation: Formation, variables: VariablesOf): MadeSecrets {
  const folder = join(root, '.secrets')
  // A container's user is another one than yours: so the files are open to all, and the folder to you alone.
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const read = (name: string): string | undefined =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : undefined
  const made: string[] = []
  const open: string[] = []

  function write(name: string, text: string): string {
    // It may be there, and nobody may write in it.
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
  for (const type of [...formation.release, ...formation.running]) {
    const known = { ...databaseOf(type), SESSION_STORE_URL: store } as Record<string, string>
    for (const { name, kept, isRequired } of secretsOf(type, variables)) {
      const [release] = isRelease(type, formation) ? secretFilesOf(type, formation, variables) : []
      const file = release ?? `${kept.store}.env`
      const before = parseEnv(read(file) ?? '')
      const value = known[name] ?? before[name] ?? (name === 'SESSION_SECRETS' ? newSecret() : undefined)
      if (value === undefined && !isRequired) continue
      files.set(file, (files.get(file) ?? new Map()).set(name, files.get(file)?.get(name) ?? value))
    }
  }
  for (const [file, values] of files) {
    const text = [...values].map(([name, value = '']) => `${name}=${value}\n`).join('')
    if (read(file) !== text) write(file, text)
    for (const [name, value] of values) if (!value) open.push(`${name} in .secrets/${file}`)
  }
  return { made, open }
}

/** The files in `.secrets` that hold what a process is given; that of a release holds all of it. */
export function secretFilesOf(type: ProcessType, formation: Formation, variables: VariablesOf): string[] {
  const secrets = secretsOf(type, variables)
  if (secrets.length > 0 && isRelease(type, formation)) return [`${type.name}.env`]
  return [...new Set(secrets.map(({ kept }) => `${kept.store}.env`))]
}

function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

/** Signed by itself: a browser asks once whether you mean it. */
function makeCertificate(): string {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '-']
  return execFileSync('openssl', ['req', '-x509', '-days', '365', ...key, ...subject], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}
