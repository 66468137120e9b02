import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { databaseEnvironment } from '../databases.ts'
import type { Formation } from '../formation.ts'
import { secretFilesOf } from './compose.ts'

/**
 * Makes what the processes of infra/compose.yaml keep to themselves, in `.secrets`, unless it is there: passwords, the
 * secret that signs cookies, and a certificate for localhost.
 *
 * @returns the files that it made
 */
export function makeSecrets(root: string, formation: Formation): string[] {
  const folder = join(root, '.secrets')
  // A container's user is another one than yours: so the files are open to all, and the folder to you alone.
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const missing = (names: string[]): boolean => names.some((name) => !existsSync(join(folder, name)))
  const made: string[] = []

  function write(name: string, text: string): void {
    // It may be there, and nobody may write in it.
    rmSync(join(folder, name), { force: true })
    writeFileSync(join(folder, name), text, { mode: 0o444 })
    made.push(`.secrets/${name}`)
  }

  if (missing(['postgres-password'])) write('postgres-password', randomBytes(24).toString('base64url'))
  const password = readFileSync(join(folder, 'postgres-password'), 'utf8')
  const environmentOf = databaseEnvironment(
    formation,
    `postgres://nonstick:${password}@postgres:5432/nonstick`,
  )
  for (const type of [...formation.release, ...formation.running]) {
    const { SESSION_STORE_URL: _, ...urls } = environmentOf(type)
    const [file] = secretFilesOf(type, formation)
    const text = Object.entries(urls)
      .map(([name, url]) => `${name}=${url}\n`)
      .join('')
    // One more app is one key more for the release.
    if (file && text && (missing([file]) || readFileSync(join(folder, file), 'utf8') !== text))
      write(file, text)
  }
  if (missing(['redis.conf', 'session.env'])) {
    const password = randomBytes(24).toString('base64url')
    write('redis.conf', `requirepass ${password}\n`)
    write(
      'session.env',
      `SESSION_STORE_URL=redis://:${password}@redis:6379/0\nSESSION_SECRETS=${randomBytes(32).toString('base64url')}\n`,
    )
  }
  if (missing(['certificate.pem'])) write('certificate.pem', makeCertificate())
  return made
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
