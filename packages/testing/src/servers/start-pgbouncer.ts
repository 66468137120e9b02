import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { runBackingService, type BackingService } from '../backing-service.ts'
import { findProgram } from '../programs.ts'
import { freePort } from '../ports.ts'
import { openTemporaryFolder } from '../open-temporary-folder.ts'
import { asOrdinaryUser } from '../start-postgres.ts'
import { spawnTethered } from '../spawn-tethered.ts'

/**
 * Starts a real PgBouncer in transaction mode in front of a Postgres on loopback, for one user. Undefined if it is not
 * installed. Two server connections serve all clients, so that code that relies on getting the same one twice fails.
 *
 * @param url the user and the database
 * @see https://www.pgbouncer.org/config.html
 */
export async function startPgBouncer(url: string): Promise<BackingService | undefined> {
  const program = findProgram('pgbouncer', '/usr/sbin/pgbouncer')
  if (!program) return undefined
  await using opening = new AsyncDisposableStack()
  const folder = opening.use(await openTemporaryFolder('pgbouncer')).path
  const port = await freePort()
  const { hostname, port: serverPort, username, password } = new URL(url)
  const users = join(folder, 'users.txt')
  await writeFile(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`)
  const file = join(folder, 'pgbouncer.ini')
  await writeFile(
    file,
    `[databases]
* = host=${hostname} port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout
`,
  )
  const pooled = Object.assign(new URL(url), { port: `${port}` }).href

  return runBackingService({
    url: pooled,
    async launch() {
      const [command, ...args] = [...(await asOrdinaryUser()), program, file]
      return spawnTethered(command!, args, { env: { PATH: process.env.PATH }, stopSignal: 'SIGINT' })
    },
    async check() {
      const client = new Client({ connectionString: pooled, connectionTimeoutMillis: 2000 })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query('SELECT 1')
      } finally {
        await client.end()
      }
    },
    resources: opening.move(),
  })
}
