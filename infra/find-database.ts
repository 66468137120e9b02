import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isListening } from '@repo/testing'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The database that a command means: `DATABASE_URL`, else the one of `pnpm dev`, when that runs in this clone. */
export async function findDatabase(): Promise<string | undefined> {
  if (process.env.DATABASE_URL) return process.env.DATABASE_URL
  // Postgres writes its port there, on the fourth line, and removes the file when it ends in good order.
  const file = await readFile(join(root, '.dev/postgres/data/postmaster.pid'), 'utf8').catch(() => '')
  const port = file.split('\n')[3]
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  return port && (await isListening(url)) ? url : undefined
}

export const noDatabase = 'Which database? Set DATABASE_URL, or start the one of this clone: pnpm dev'
