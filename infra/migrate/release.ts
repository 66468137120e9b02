import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startProcess } from '@repo/testing/start-process'
import { Client, escapeIdentifier as quote } from 'pg'
import { databaseEnvironment } from '../databases.ts'
import { readFormation } from '../formation.ts'

/**
 * Runs the release processes on a server that all apps share. URLs of stores in the environment take precedence.
 *
 * @param server the URL of a role that may create roles
 * @returns the exit code of the first process that failed, else 0
 */
export async function runRelease(root: string, server: string): Promise<number> {
  const formation = readFormation(root)
  const environmentOf = databaseEnvironment(
    formation,
    server,
    process.env['SESSION_STORE_URL'] || undefined,
    process.env,
  )
  for (const type of formation.release) {
    const { name, app, entry } = type
    const running = await startProcess({
      name,
      cwd: join(root, app),
      entry,
      env: { ...process.env, ...environmentOf(type) },
      onLine: (line) => console.log(line),
    })
    const { code } = await running.exited
    if (code !== 0) return code ?? 1
  }
  return 0
}

/** Drops the schema that an app's migrations have made, with all rows. Its jobs are in another schema, and stay. */
export async function dropTables(server: string, schema: string): Promise<void> {
  const client = new Client({ connectionString: server, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    await client.query(`DROP SCHEMA IF EXISTS ${quote(schema)} CASCADE`)
  } finally {
    await client.end()
  }
}

/**
 * Where a file was released: the first tag that contains it, or the main branch of the remote. Undefined when neither does, or when
 * it is not committed. A release is one tag (docs/operations.md).
 */
export async function whereReleased(root: string, file: string): Promise<string | undefined> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: root })).stdout.trim()
  try {
    const commit = await git('log', '--diff-filter=A', '--format=%H', '-1', '--', file)
    if (commit === '') return undefined
    const places = ['refs/tags', 'refs/remotes/origin/HEAD', 'refs/remotes/origin/main']
    const found = await git('for-each-ref', '--contains', commit, '--format=%(refname:short)', ...places)
    return found.split('\n')[0] || undefined
  } catch {
    // No repository, so no release was made from it.
    return undefined
  }
}
