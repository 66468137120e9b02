import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { directUrlVariableOf, urlVariableOf } from '@repo/database'
import { shareUrl } from '@repo/database/shares'
import { isListening } from '@repo/testing'
import { forgetPostgresVariables } from './forget-postgres-variables.ts'
import { loadDotEnv } from './load-dot-env.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * The server that a command means, as somebody who may do anything there: `DATABASE_URL`, else the one of `pnpm dev`, when that runs in
 * this clone.
 */
export async function findDatabase(): Promise<string | undefined> {
  loadDotEnv(root)
  forgetPostgresVariables()
  if (process.env.DATABASE_URL) return process.env.DATABASE_URL
  const [password, server] = await Promise.all([read('password'), read('data/postmaster.pid')])
  // Postgres writes its port there, on the fourth line, and removes the file when it ends in good order.
  const port = server.split('\n')[3]
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  return port && (await isListening(url)) ? url : undefined
}

/** How a command gets at the tables of an app: as the release process does, else as that app's role on the server that it means. */
export async function findAppDatabase(app: string): Promise<string | undefined> {
  const given = process.env[directUrlVariableOf(app)] || process.env[urlVariableOf(app)]
  if (given) return given
  const server = await findDatabase()
  return server && shareUrl(server, app)
}

export const noDatabase = 'Which database? Set DATABASE_URL, or start the one of this clone: pnpm dev'

function read(file: string): Promise<string> {
  return readFile(join(root, '.dev/postgres', file), 'utf8').catch(() => '')
}
