import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createDatabase } from './create-database.ts'
import { sessionStoreUrl } from './session-store-url.ts'

/** What an app declares about one of its process types. */
export interface ProcessType {
  name: string
  /** Its app, as whose role it uses the database. */
  app: string
  /** Its TypeScript entry, from the app's folder on. */
  entry: string
  needs: string[]
}

export type Environment = Record<string, string | undefined>

/** Reads `processes` of an app's package.json: the named process type, by default the first. */
export async function readProcessType(folder: string, wanted?: string): Promise<ProcessType> {
  const { processes = {} } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as {
    processes?: Record<string, { entry: string; needs?: string[] }>
  }
  const names = Object.keys(processes)
  const name = wanted ?? names[0] ?? ''
  const found = processes[name]
  if (!found)
    throw new Error(`${folder} declares no process "${name}", but ${names.join(', ') || 'none at all'}`)
  return { name, app: basename(folder), entry: found.entry, needs: found.needs ?? [] }
}

/** The whole environment of a process under test: `given`, and what the process type needs beside it. */
export async function environmentFor(
  { app, needs }: ProcessType,
  given: Environment,
  resources: AsyncDisposableStack,
): Promise<Environment> {
  const env: Environment = {
    NODE_ENV: 'test',
    PUBLIC_ORIGIN: 'http://localhost',
    // We are its load balancer: each browser of a test has an address of its own.
    TRUST_PROXY: 'loopback',
    DRAIN_MS: '50',
    SHUTDOWN_DEADLINE_MS: '10000',
  }
  if (needs.includes('database') && !given.DATABASE_URL) {
    env.DATABASE_URL = resources.use(await createDatabase(app)).url
  }
  if (needs.includes('session')) {
    env.SESSION_SECRETS = randomBytes(32).toString('base64url')
    if (!given.SESSION_STORE_URL) env.SESSION_STORE_URL = await sessionStoreUrl()
  }
  return { ...env, ...given }
}
