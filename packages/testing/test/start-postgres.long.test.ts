import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import { isListening } from '../src/ports.ts'
import { openTemporaryFolder } from '../src/open-temporary-folder.ts'
import { pollUntil } from '../src/poll-until.ts'
import { startPostgres } from '../src/start-postgres.ts'

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 1000 })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

async function temporaryFolder(): Promise<string> {
  const folder = await openTemporaryFolder('test')
  onTestFinished(() => folder[Symbol.asyncDispose]())
  return folder.path
}

test('it answers, and leaves no port and no file behind', async () => {
  const postgres = await startPostgres()
  const [settings] = await query(
    postgres.url,
    `SELECT current_setting('data_directory') AS folder, upper('é') AS upper`,
  )
  const { folder, upper } = settings as { folder: string; upper: string }
  expect(upper).toBe('É')
  await postgres[Symbol.asyncDispose]()
  expect(await isListening(postgres.url)).toBe(false)
  await expect(access(folder)).rejects.toThrow('ENOENT')
})

test('a killed server is back on its port with its data', async () => {
  await using postgres = await startPostgres()
  await query(postgres.url, 'CREATE TABLE kept (id int)')
  await postgres.kill()
  await expect(query(postgres.url, 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
  await postgres.restart()
  expect(await query(postgres.url, 'SELECT * FROM kept')).toEqual([])
})

test('a frozen one answers nobody, on no connection, until it is thawed', async () => {
  await using postgres = await startPostgres()
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  await postgres.freeze()
  let answered = false
  const answer = client.query('SELECT 1').then(() => (answered = true))
  await expect(query(postgres.url, 'SELECT 1')).rejects.toThrow(/timeout/)
  expect(answered).toBe(false)
  await postgres.thaw()
  await answer
  await client.end()
})

test('a frozen one can be killed, and is back', async () => {
  await using postgres = await startPostgres()
  await postgres.freeze()
  await postgres.kill()
  await postgres.restart()
  expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('a folder that still names a server which is long gone is taken over', async () => {
  const directory = await temporaryFolder()
  const first = await startPostgres({ directory })
  const pidFile = join(directory, 'data/postmaster.pid')
  const words = await readFile(pidFile, 'utf8')
  await first[Symbol.asyncDispose]()
  // The pid now belongs to another program: this test.
  await writeFile(pidFile, words.replace(/^\d+/, `${process.pid}`))
  await using second = await startPostgres({ directory })
  expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})

test('a client without its password is refused, and no other user can read the password', async () => {
  const directory = await temporaryFolder()
  await using postgres = await startPostgres({ directory })
  const { port, password } = new URL(postgres.url)
  for (const other of ['postgres@', 'postgres:guessed@']) {
    await expect(query(`postgres://${other}127.0.0.1:${port}/postgres`, 'SELECT 1')).rejects.toThrow(
      /password/i,
    )
  }
  expect(await readFile(join(directory, 'password'), 'utf8')).toBe(password)
  expect((await stat(join(directory, 'password'))).mode & 0o777).toBe(0o600)
})

test('a folder of an earlier release, which let everybody in, keeps its data and gets a password', async () => {
  const directory = await temporaryFolder()
  const first = await startPostgres({ directory })
  await query(first.url, 'CREATE TABLE kept (id int)')
  await query(first.url, 'ALTER ROLE postgres PASSWORD NULL')
  await first[Symbol.asyncDispose]()
  await rm(join(directory, 'password'))
  await using second = await startPostgres({ directory })
  expect(await query(second.url, 'SELECT * FROM kept')).toEqual([])
  const { port } = new URL(second.url)
  await expect(query(`postgres://postgres@127.0.0.1:${port}/postgres`, 'SELECT 1')).rejects.toThrow(
    /password/i,
  )
})

test('a folder that a living server uses is refused in one sentence', { timeout: 60_000 }, async () => {
  const directory = await temporaryFolder()
  await using first = await startPostgres({ directory })
  await expect(startPostgres({ directory })).rejects.toThrow(
    `Another Postgres (pid ${first.pid}) already runs on`,
  )
})

async function runsWithoutNamespaces(): Promise<void> {
  const folder = await temporaryFolder()
  const forbidden = '#!/bin/sh\necho unshare: Operation not permitted >&2; exit 1'
  await writeFile(join(folder, 'unshare'), forbidden, { mode: 0o755 })
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`)
  onTestFinished(() => void vi.unstubAllEnvs())
  await using postgres = await startPostgres({ directory: join(folder, 'postgres') })
  expect((await stat(`/proc/${postgres.pid}`)).uid).not.toBe(0)
  await postgres.kill()
  await postgres.restart()
  expect(await query(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
}

// Only root has this problem.
if (process.getuid?.() === 0)
  test('root can run it where containers forbid namespaces', runsWithoutNamespaces)

test('kill -9 of its parent leaves no server, no port and no temporary folder, even if it was frozen', async () => {
  const parent = spawn(process.execPath, [join(import.meta.dirname, 'fixture-parent.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(parent.stdout, 'data')
  const { url, pid } = JSON.parse(String(line)) as { url: string; pid: number }
  const [settings] = await query(url, `SELECT current_setting('data_directory') AS folder`)
  process.kill(pid, 'SIGSTOP')
  parent.kill('SIGKILL')
  await pollUntil('the port is free', async () => !(await isListening(url)))
  const { folder } = settings as { folder: string }
  await pollUntil(
    'the folder is gone',
    () =>
      access(folder).then(
        () => false,
        () => true,
      ),
    { deadlineMs: 20_000 },
  )
})
